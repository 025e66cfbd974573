# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates with which people log in to nodes, made by whoever has the master secret: in an emergency only.

Images of the profile emergency-access let in who has a certificate of the cluster's SSH authority, and nobody else.
Nothing revokes one: it ends. One that is there is used until a quarter of its time is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from constellation_core.keys.derivation import SSH_AUTHORITY, derive
from constellation_core.ssh_authority import SshAuthority

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may log in.

    Attributes:
        user_key: public key of the person, one OpenSSH line.
        name: of the person.
        logins: users of the nodes as whom they may log in.
        lifetime: of a certificate.
    """

    user_key: str
    name: str
    logins: tuple[str, ...] = ("root",)
    lifetime: timedelta = timedelta(hours=24)


def authority_of(master: MasterSecret) -> SshAuthority:
    """Give the SSH authority of the cluster that has a master secret."""
    return SshAuthority(derive(master.secret, master.salt, SSH_AUTHORITY))


def certify(authority: SshAuthority, access: Access, *, at: datetime) -> str:
    """Make a certificate, one OpenSSH line.

    Raises:
        ConfigError: the key is none that nodes take, nobody is named, or it would last too long.
    """
    return authority.certify_user(
        access.user_key, name=access.name, logins=access.logins, begin=at, end=at + access.lifetime
    )


def valid_until(line: str) -> datetime | None:
    """Tell when a certificate ends; None where a line is none."""
    certificate = _read(line)
    return datetime.fromtimestamp(certificate.valid_before, UTC) if certificate is not None else None


def reason_to_renew(line: str, authority: SshAuthority, access: Access, *, at: datetime) -> str:
    """Say why a certificate does not serve; nothing where it does.

    1. It is a certificate of a user, by this authority, and its signature holds.
    2. It is for this key, this person and these logins.
    3. A quarter of the time that a new one had is left, and it does not last longer than that one.
    """
    certificate = _read(line)
    if certificate is None or certificate.type is not SSHCertificateType.USER:
        return "there is none"
    if _line_of(certificate.signature_key()) != _plain(authority.public_key) or not _is_intact(certificate):  # 1
        return "another authority signed it"
    said = (_line_of(certificate.public_key()), certificate.key_id, sorted(certificate.valid_principals))
    asked = (_plain(access.user_key), access.name.encode(), sorted(login.encode() for login in access.logins))
    if said != asked:  # 2
        return "it is for another key, person or login"
    left = datetime.fromtimestamp(certificate.valid_before, UTC) - at
    if left < access.lifetime / 4:  # 3
        return "it ends soon"
    return "it lasts too long" if left > access.lifetime else ""


def _read(line: str) -> SSHCertificate | None:
    try:
        found = load_ssh_public_identity(line.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, SSHCertificate) else None


def _is_intact(certificate: SSHCertificate) -> bool:
    try:
        certificate.verify_cert_signature()
    except InvalidSignature:
        return False
    return True


def _line_of(key: object) -> str:
    public_bytes = getattr(key, "public_bytes", None)  # every kind of key that OpenSSH knows has it
    return public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii") if public_bytes is not None else ""


def _plain(line: str) -> str:
    """Leave out the comment of a line."""
    return " ".join(line.split()[:2])
