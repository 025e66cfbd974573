# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The master secret of a cluster and its file.

    {"version": 1, "secret": "<64 hex digits>", "salt": "<64 hex digits>"}

Every key of the cluster derives from it (`constellation_core.keys.derivation`): whoever has the file can open every
disk, and without it a cluster that stopped as a whole is lost.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError
from attestation.strict_json import load_object
from constellation_core.errors import SecretFileError
from constellation_core.keys.derivation import MEASUREMENT_SECRET, SECRET_SIZE, cluster_id, derive
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import MAX_SIZE, create_secret_file, read_secret_file

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = 1
FIELDS: Final = {"version", "secret", "salt"}
_HEX: Final = re.compile(rf"[0-9a-f]{{{2 * SECRET_SIZE}}}")


@dataclass(frozen=True, slots=True)
class MasterSecret:
    """What every key of a cluster derives from.

    Attributes:
        secret: 32 bytes.
        salt: 32 bytes; not secret, but of no use to others.
    """

    secret: Secret
    salt: bytes

    def __post_init__(self) -> None:
        """Check the sizes."""
        if len(self.secret.reveal()) != SECRET_SIZE or len(self.salt) != SECRET_SIZE:
            raise SecretFileError(f"a master secret and its salt have {SECRET_SIZE} bytes each")

    @classmethod
    def random(cls) -> MasterSecret:
        """Make a new one."""
        return cls(Secret.random(SECRET_SIZE), secrets.token_bytes(SECRET_SIZE))

    @classmethod
    def load(cls, path: Path) -> MasterSecret:
        """Read the file of one.

        Raises:
            SecretFileError: it is missing, damaged, or others can use it.
        """
        found = _parse(read_secret_file(path))
        if isinstance(found, str):
            raise SecretFileError(f"{path} is no file of a master secret: {found}", hint="restore it from your backup")
        return found

    def cluster_id(self, measurement_salt: bytes) -> bytes:
        """Compute the ID of a cluster of this secret, 32 bytes: whoever lost the answer to Init has no other way."""
        return cluster_id(derive(self.secret, self.salt, MEASUREMENT_SECRET), measurement_salt)

    def create(self, path: Path) -> None:
        """Write it to a new file, mode 0600.

        Raises:
            SecretFileError: something of that name is there: it is never overwritten.
        """
        record = {"version": VERSION, "secret": self.secret.reveal().hex(), "salt": self.salt.hex()}
        content = Secret(json.dumps(record).encode() + b"\n")
        del record  # a traceback that shows local variables would show it
        create_secret_file(path, content)


def _parse(content: Secret) -> MasterSecret | str:
    """Give the record, or say what is wrong: an exception from here would carry the secret in its frames."""
    try:
        record = load_object(content.reveal(), "the file", max_size=MAX_SIZE, max_brackets=1)
    except MalformedError:
        return "it is not JSON"
    if record.get("version") != VERSION or type(record["version"]) is not int:
        return f"expected version {VERSION}, and it has another"
    if set(record) != FIELDS or not _is_hex(record["secret"]) or not _is_hex(record["salt"]):
        return f"expected secret and salt of {2 * SECRET_SIZE} hex digits each, and nothing else"
    return MasterSecret(Secret(bytes.fromhex(record["secret"])), bytes.fromhex(record["salt"]))


def _is_hex(value: Any) -> bool:  # noqa: ANN401 - whatever the file holds
    return isinstance(value, str) and _HEX.fullmatch(value) is not None
