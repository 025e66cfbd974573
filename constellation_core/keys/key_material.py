# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Key material of a cluster: which provider its keys come from, and what that provider needs.

It travels as the protobuf message `KeyMaterial` at init and recovery, and lies in the cluster as the Secret
`key-material`, which pods of the key service see as a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_core.errors import ConfigError
from constellation_core.keys.derivation import SECRET_SIZE
from constellation_core.keys.secret import Secret
from constellation_core.keys.uri import ProviderUri, Scheme
from constellation_proto import keys_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_core.keys.master_secret import MasterSecret

MAX_FILE_SIZE: Final = 4096  # bytes


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """What a key provider is opened with.

    Attributes:
        uri: names the provider.
        salt: 32 bytes; of the master secret, or what binds wrapped keys to this cluster.
        secret: 32 bytes, of the master secret; None where the provider is outside of the cluster.
    """

    uri: ProviderUri
    salt: bytes
    secret: Secret | None = None

    def __post_init__(self) -> None:
        """Check that the provider has what it needs, and nothing that it does not."""
        if len(self.salt) != SECRET_SIZE:
            raise ConfigError(f"key material: expected a salt of {SECRET_SIZE} bytes, got {len(self.salt)}")
        size = len(self.secret.reveal()) if self.secret else 0
        wanted = SECRET_SIZE if self.uri.scheme is Scheme.CLUSTER else 0
        if size != wanted:
            raise ConfigError(f"key material: {self.uri.scheme}:// takes a secret of {wanted} bytes, got {size}")

    @classmethod
    def of(cls, master: MasterSecret) -> KeyMaterial:
        """Make the key material of a cluster that holds its master secret itself."""
        return cls(ProviderUri.parse("cluster://"), master.salt, master.secret)

    @classmethod
    def read(cls, folder: Path) -> KeyMaterial:
        """Read the files `uri`, `salt` and `secret` of a mounted Secret; the last may be missing.

        Raises:
            ConfigError: a file cannot be read, or they do not fit together.
        """
        try:
            uri, salt = _content(folder / "uri"), _content(folder / "salt")
            secret = _secret(folder / "secret")
        except OSError as error:
            raise ConfigError(
                f"key material: cannot read {error.filename}: {error.strerror}",
                hint="is the Secret key-material mounted?",
            ) from None
        return cls(ProviderUri.parse(uri.decode("utf-8", "replace")), salt, secret)

    @classmethod
    def from_message(cls, message: keys_pb2.KeyMaterial) -> KeyMaterial:
        """Read a message.

        Raises:
            ConfigError: its parts do not fit together.
        """
        secret = Secret(message.secret) if message.secret else None
        return cls(ProviderUri.parse(message.uri), message.salt, secret)

    def to_message(self) -> keys_pb2.KeyMaterial:
        """Make the message; unlike this record it shows the secret."""
        secret = self.secret.reveal() if self.secret else b""
        return keys_pb2.KeyMaterial(uri=self.uri.text, secret=secret, salt=self.salt)


def _secret(path: Path) -> Secret | None:
    return Secret(_content(path)) if path.exists() and path.stat().st_size else None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE_SIZE)
