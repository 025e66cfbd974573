# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's SSH authority: certificates by which people know the nodes they log in to, in an emergency only.

    authority = SshAuthority(seed)                      # key `ssh-ca` of the cluster, protocols section 3
    line = authority.certify_host(host_key, principals=["worker-0", "10.213.1.7"])
    line = authority.certify_user(user_key, name="ada", logins=["root"], begin=now, end=now + timedelta(hours=24))

Only images of the profile emergency-access have a server (design, section 2). OpenSSH's PROTOCOL.certkeys.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_key,
)

from constellation_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from constellation_core.keys.secret import Secret

FOREVER: Final = 2**64 - 1
"""Certificates of hosts do not end: a node that nobody booted for a year is one that people may have to look at."""
COMMENT: Final = "constellation"
LONGEST: Final = timedelta(days=31)
"""Of a certificate of a user: nothing shuts them out before it ends."""
CLOCKS: Final = timedelta(minutes=5)
"""By which the clock of a node may be behind ours."""


class SshAuthority:
    """Signs keys of hosts and of people.

    Args:
        seed: key `ssh-ca`, 32 bytes: the private key of Ed25519 (RFC 8032).
    """

    def __init__(self, seed: Secret) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(seed.reveal())

    @property
    def public_key(self) -> str:
        """Its public key, one OpenSSH line."""
        line = self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
        return f"{line} {COMMENT}"

    def certify_host(self, host_key: str, *, principals: Sequence[str]) -> str:
        """Make the certificate of a host.

        Args:
            host_key: its public key, one OpenSSH line.
            principals: names under which people know it; at least one.

        Returns:
            One OpenSSH line.

        Raises:
            ConfigError: the line is no key of Ed25519 or ECDSA, or nobody is named: OpenSSH takes that for everybody.
        """
        if not principals:
            raise ConfigError("SSH certificate: expected the name of a host, got none")
        certificate = (
            SSHCertificateBuilder()
            .public_key(_public_key(host_key))
            .type(SSHCertificateType.HOST)
            .key_id(principals[0].encode())
            .valid_principals([principal.encode() for principal in principals])
            .valid_after(0)
            .valid_before(FOREVER)
            .sign(self._key)
        )
        return f"{certificate.public_bytes().decode('ascii')} {COMMENT}"

    def certify_user(self, user_key: str, *, name: str, logins: Sequence[str], begin: datetime, end: datetime) -> str:
        """Make the certificate with which a person logs in to nodes.

        Args:
            user_key: their public key, one OpenSSH line.
            name: of the person; nodes write it down at every login.
            logins: users of the nodes as whom they may log in; at least one.
            begin: from when, less five minutes for clocks that are behind; aware.
            end: until when, at most 31 days later; aware.

        Returns:
            One OpenSSH line. It permits a terminal, and no forwarding of anything.

        Raises:
            ConfigError: the line is no key of Ed25519 or ECDSA, nobody is named, or the time is none or too long.
        """
        if not name or not logins:
            raise ConfigError("SSH certificate: expected the name of a person and of a login, one is missing")
        if not timedelta(0) < end - begin <= LONGEST:
            raise ConfigError(
                f"SSH certificate: expected an end within {LONGEST.days} days, got {end - begin} from the beginning",
                hint="nothing revokes a certificate: let it end soon, and make another one",
            )
        certificate = (
            SSHCertificateBuilder()
            .public_key(_public_key(user_key, "SSH user key"))
            .type(SSHCertificateType.USER)
            .key_id(name.encode())
            .valid_principals([login.encode() for login in logins])
            .valid_after(int((begin - CLOCKS).timestamp()))
            .valid_before(int(end.timestamp()))
            .add_extension(b"permit-pty", b"")
            .sign(self._key)
        )
        return f"{certificate.public_bytes().decode('ascii')} {COMMENT}"


def _public_key(line: str, what: str = "SSH host key") -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
    try:
        # What begins with sk- lies in a token, and loads as a key that it is not.
        key = load_ssh_public_key(line.encode()) if not line.lstrip().startswith("sk-") else None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise ConfigError(f"{what}: expected one line of OpenSSH, Ed25519 or ECDSA, got {line!r:.80}")
    return key
