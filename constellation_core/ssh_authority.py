# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's SSH authority: certificates by which people know the nodes they log in to, in an emergency only.

    authority = SshAuthority(seed)                      # key `ssh-ca` of the cluster, protocols section 3
    line = authority.certify_host(host_key, principals=["worker-0", "10.213.1.7"])

Only images of the profile emergency-access have a server (design, section 2). OpenSSH's PROTOCOL.certkeys.
"""

from __future__ import annotations

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

    from constellation_core.keys.secret import Secret

FOREVER: Final = 2**64 - 1
"""Certificates of hosts do not end: a node that nobody booted for a year is one that people may have to look at."""
COMMENT: Final = "constellation"


class SshAuthority:
    """Signs keys of hosts.

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


def _public_key(line: str) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
    try:
        key = load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise ConfigError(f"SSH host key: expected one line of OpenSSH, Ed25519 or ECDSA, got {line!r:.80}")
    return key
