# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a node asks for, read and checked. Everything in a request is the node's own word.

1. The certificate request is signed by its own key (attack: somebody else's public key).
2. Its key is on P-256, P-384 or P-521, as our agents make them (attack: a weak key).
3. It asks for exactly O = system:nodes and CN = system:node:<name> (attacks: another group, two names).
4. It asks for no authority, no other names and no other use (attacks: CA bit, a certificate for a server).
5. Disk id, role, mesh key, host key and addresses have the shape that their users rely on.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from constellation_core.cluster_authority import CURVES
from constellation_core.errors import ConfigError
from constellation_core.keys.derivation import canonical_uuid
from constellation_core.roles import Role
from constellation_services.join.errors import BadRequestError

if TYPE_CHECKING:
    from constellation_proto import join_pb2

ORGANISATION: Final = "system:nodes"
USER_PREFIX: Final = "system:node:"

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_LONGEST_NAME: Final = 64 - len(USER_PREFIX)  # a common name has 64 characters (RFC 5280, ub-common-name)
_HOST_KEY: Final = re.compile(
    r"(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{32,300}={0,2}( [!-~]{1,255})?"
)
_ADDRESS: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.:-]{0,252}")
_MOST_ADDRESSES: Final = 16
_LARGEST_REQUEST: Final = 16 * 1024  # bytes of a certificate request
_WIREGUARD_KEY_SIZE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A request that is well-formed.

    Attributes:
        name: of the node.
        role: what it wants to be.
        disk: LUKS UUID of its state disk.
        public_key: of its certificate; the node has the private one.
        wireguard_public_key: 32 bytes.
        host_key: one OpenSSH line; may be empty.
        addresses: where its peers reach it.
    """

    name: str
    role: Role
    disk: str
    public_key: ec.EllipticCurvePublicKey
    wireguard_public_key: bytes
    host_key: str
    addresses: tuple[str, ...]

    @property
    def subject(self) -> x509.Name:
        """Name of its certificate, in our spelling: a request may encode the same name in others."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{USER_PREFIX}{self.name}"),
            ]
        )


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a node that booted again has from now on.

    Attributes:
        wireguard_public_key: 32 bytes.
        addresses: where its peers reach it.
    """

    wireguard_public_key: bytes
    addresses: tuple[str, ...]


def read_renewal(request: join_pb2.IssueRejoinTicketRequest) -> Renewal | None:
    """Read what is to be new of a node that booted again; None where all stays.

    Raises:
        BadRequestError: it is not well-formed.
    """
    if not request.wireguard_public_key:
        return None
    return Renewal(_wireguard_key(request.wireguard_public_key), _addresses(tuple(request.addresses)))


def read_application(request: join_pb2.IssueTicketRequest) -> Application:
    """Read a request.

    Raises:
        BadRequestError: it is not well-formed; the message says what was expected.
    """
    subject, public_key = _read_certificate_request(request.certificate_request)
    return Application(
        name=_node_name(subject),
        role=_role(request.role),
        disk=read_disk(request.disk_uuid),
        public_key=_public_key(public_key),
        wireguard_public_key=_wireguard_key(request.wireguard_public_key),
        host_key=_host_key(request.host_key),
        addresses=_addresses(tuple(request.addresses)),
    )


def read_disk(text: str) -> str:
    """Check a disk id.

    Raises:
        BadRequestError: it is no UUID in lower case.
    """
    try:
        return canonical_uuid(text)
    except ConfigError as error:
        raise BadRequestError(str(error), cause="disk") from None


def _read_certificate_request(data: bytes) -> tuple[x509.Name, object]:
    """Give subject and public key."""
    if len(data) > _LARGEST_REQUEST:
        raise _bad_request(f"at most {_LARGEST_REQUEST} bytes", f"{len(data)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are too long: we refuse them
            signing = x509.load_der_x509_csr(data)
            subject, public_key = signing.subject, signing.public_key()
            genuine, extensions = signing.is_signature_valid, list(signing.extensions)
    except Exception:  # noqa: BLE001 - the errors of `cryptography` have no root, and it can be shown anything
        raise _bad_request("PKCS #10, DER", "other bytes") from None
    if not genuine:  # 1
        raise _bad_request("a signature by its own key", "another signature")
    for extension in extensions:  # 4
        _check_extension(extension.value)
    return subject, public_key


def _check_extension(value: x509.ExtensionType) -> None:
    match value:
        case x509.BasicConstraints(ca=False):
            return
        case x509.KeyUsage() if not (value.key_cert_sign or value.crl_sign):
            return
        case x509.ExtendedKeyUsage() if list(value) == [ExtendedKeyUsageOID.CLIENT_AUTH]:
            return
        case _:
            raise _bad_request("a client certificate, no authority and no further names", type(value).__name__)


def _public_key(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, CURVES):  # 2
        raise _bad_request("a key on P-256, P-384 or P-521", "another")
    return key


def _node_name(subject: x509.Name) -> str:
    # 3
    attributes = sorted((attribute.oid.dotted_string, str(attribute.value)) for attribute in subject)
    expected = {NameOID.COMMON_NAME.dotted_string, NameOID.ORGANIZATION_NAME.dotted_string}
    found = dict(attributes)
    if len(attributes) != len(expected) or found.keys() != expected:
        raise _bad_request(f"one O ({ORGANISATION}) and one CN", subject.rfc4514_string()[:200] or "no name")
    if found[NameOID.ORGANIZATION_NAME.dotted_string] != ORGANISATION:
        raise _bad_request(f"O = {ORGANISATION}", found[NameOID.ORGANIZATION_NAME.dotted_string][:200])
    user = found[NameOID.COMMON_NAME.dotted_string]
    name = user.removeprefix(USER_PREFIX)
    if not user.startswith(USER_PREFIX) or len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        expected_name = f"CN = {USER_PREFIX}<DNS name of at most {_LONGEST_NAME} characters>"
        raise _bad_request(expected_name, user[:200])
    return name


def _role(role: join_pb2.Role) -> Role:
    known = Role.from_message(role)
    if known is None:
        raise BadRequestError(f"role: expected control-plane or worker, got number {int(role)}", cause="role")
    return known


def _wireguard_key(key: bytes) -> bytes:
    if len(key) != _WIREGUARD_KEY_SIZE or not any(key):
        raise BadRequestError(
            f"mesh key: expected {_WIREGUARD_KEY_SIZE} bytes, not all zero, got {len(key)}", cause="mesh-key"
        )
    return key


def _host_key(line: str) -> str:
    if line and not (_HOST_KEY.fullmatch(line) and _is_ssh_key(line)):
        raise BadRequestError("host key: expected one OpenSSH line (ssh-ed25519 or ecdsa-sha2-…)", cause="host-key")
    return line


def _is_ssh_key(line: str) -> bool:
    try:
        return isinstance(load_ssh_public_key(line.encode()), ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey)
    except Exception:  # noqa: BLE001 - the errors of `cryptography` have no root, and it can be shown anything
        return False


def _addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if len(addresses) > _MOST_ADDRESSES or not all(_ADDRESS.fullmatch(address) for address in addresses):
        raise BadRequestError(
            f"addresses: expected at most {_MOST_ADDRESSES} names or IP addresses, got {addresses!r:.200}",
            cause="addresses",
        )
    return tuple(dict.fromkeys(addresses))


def _bad_request(expected: str, got: str) -> BadRequestError:
    return BadRequestError(f"certificate request: expected {expected}, got {got}", cause="certificate-request")
