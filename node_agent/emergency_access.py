# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the SSH server of an image with the profile emergency-access needs; no other image has one, or any of this.

    /run/state/constellation/ssh/     kept on the state disk
    /run/constellation/ssh/           the same, for this boot: the server starts when the certificate is there
        host_key                      Ed25519, OpenSSH's format, 0600
        host_key-cert.pub             by which people know the node; signed by the cluster's authority
        ca.pub                        that authority: it also signs certificates of people

The files are those that `images/node/mkosi.profiles/emergency-access` names.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from constellation_core.errors import SecretFileError
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import create_secret_file, read_secret_file
from node_agent.errors import PermanentError
from node_agent.files import write_public

if TYPE_CHECKING:
    from pathlib import Path

SSH_PORT: Final = 22
FOLDER: Final = "ssh"
HOST_KEY: Final = "host_key"
CERTIFICATE: Final = "host_key-cert.pub"
AUTHORITY: Final = "ca.pub"


class EmergencyAccess:
    """Keeps what the SSH server needs, and gives it to it.

    Args:
        kept: folder on the state disk.
        given: folder of this boot.
    """

    def __init__(self, kept: Path, given: Path) -> None:
        self._kept = kept / FOLDER
        self._given = given / FOLDER

    def host_key(self) -> str:
        """Give the public half of the key that is kept, one OpenSSH line; a new one where there is none.

        Raises:
            PermanentError: it cannot be kept, or it is none.
        """
        path = self._kept / HOST_KEY
        try:
            self._kept.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
            if not path.exists():
                made = Ed25519PrivateKey.generate()
                create_secret_file(
                    path, Secret(made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
                )
            key = load_ssh_private_key(read_secret_file(path).reveal(), None)
        except (SecretFileError, OSError, ValueError) as error:
            raise PermanentError(f"cannot keep the SSH host key: {error}") from None
        return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")

    def keep(self, *, certificate: str, authority: str) -> None:
        """Keep what the cluster has signed; nothing where it has signed nothing.

        Args:
            certificate: of the host key, one OpenSSH line.
            authority: public key of who signed it, one OpenSSH line.

        Raises:
            PermanentError: it cannot be written.
        """
        if not certificate or not authority:
            return
        try:
            for name, line in ((AUTHORITY, authority), (CERTIFICATE, certificate)):
                write_public(self._kept / name, f"{line}\n".encode())
        except OSError as error:
            raise PermanentError(f"cannot keep the SSH host certificate: {error}") from None

    def open(self) -> bool:
        """Give the server what it needs, the certificate last; tell whether there is anything to give.

        Raises:
            PermanentError: it cannot be read or written.
        """
        if not (self._kept / CERTIFICATE).exists():
            return False
        try:
            self._given.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
            (self._given / HOST_KEY).unlink(missing_ok=True)
            create_secret_file(self._given / HOST_KEY, read_secret_file(self._kept / HOST_KEY))
            for name in (AUTHORITY, CERTIFICATE):
                write_public(self._given / name, (self._kept / name).read_bytes())
        except (SecretFileError, OSError) as error:
            raise PermanentError(f"cannot let people in by SSH: {error}") from None
        return True
