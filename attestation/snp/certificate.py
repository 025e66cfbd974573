# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AMD's certificates: ARK, ASK, ASVK, VCEK and VLEK as records.

Read with our own bounded DER reader: every VCEK and VLEK has serial number 0, which X.509 libraries announce to
refuse. Sources: RFC 5280; AMD 57230, "VCEK certificate" and "VLEK certificate" (extensions under 1.3.6.1.4.1.3704.1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from attestation.der import Element, Tag, parse_der
from attestation.errors import MalformedError, NotGenuineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MAX_SIZE: Final = 16 * 1024  # bytes of one certificate

# AlgorithmIdentifier of RSASSA-PSS with SHA-384, MGF1 with SHA-384 and 48 bytes of salt, in AMD's two spellings: with
# and without the default trailer field.
_HASHES: Final = (
    "a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
)
RSASSA_PSS_SHA384: Final = frozenset(
    {
        bytes.fromhex(f"304106092a864886f70d01010a3034{_HASHES}"),
        bytes.fromhex(f"304606092a864886f70d01010a3039{_HASHES}a303020101"),
    },
)
_PADDING: Final = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
_COMMON_NAME: Final = bytes.fromhex("550403")
_BASIC_CONSTRAINTS: Final = bytes.fromhex("551d13")
_KEY_USAGE: Final = bytes.fromhex("551d0f")
_UNDERSTOOD: Final = frozenset({_BASIC_CONSTRAINTS, _KEY_USAGE})
_EXTENSIONS_TAG: Final = Tag.context(3)
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class _Extension(NamedTuple):
    name: bytes
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """What verification needs of a certificate.

    Attributes:
        der: the whole certificate.
        signed: TBSCertificate as encoded.
        signature: bytes of the signature.
        algorithm: AlgorithmIdentifier as encoded.
        serial: serial number; 0 for every VCEK and VLEK.
        issuer: Name as encoded.
        subject: Name as encoded.
        not_before, not_after: validity, aware UTC.
        key_info: SubjectPublicKeyInfo as encoded.
        extensions: OID content → extnValue.
        authority: whether it may sign certificates (basicConstraints).
    """

    der: bytes
    signed: bytes
    signature: bytes
    algorithm: bytes
    serial: int
    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime
    key_info: bytes
    extensions: Mapping[bytes, bytes]
    authority: bool

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key, as roots are pinned."""
        return hashlib.sha256(self.key_info).hexdigest()

    @property
    def common_name(self) -> str:
        """CN of the subject, for people; empty if there is none."""
        for name in parse_der(self.subject).children():
            for attribute in name.children():
                parts = tuple(attribute.children())
                if len(parts) == 2 and parts[0].value == _COMMON_NAME:  # noqa: PLR2004 - a kind and a value
                    return parts[1].value.decode("ascii", "replace")
        return ""

    def public_key(self) -> PublicKeyTypes:
        """Load the key.

        Raises:
            MalformedError: it is not a key that we know.
        """
        try:
            return load_der_public_key(self.key_info)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise MalformedError(f"certificate of {self.common_name}: unusable key: {error}") from None

    def check_validity(self, at: datetime) -> None:
        """Refuse outside the time in which the certificate is valid.

        Raises:
            NotGenuineError: too early or too late.
        """
        if not self.not_before <= at <= self.not_after:
            raise NotGenuineError(
                "snp.validity",
                expected=f"{self.common_name} valid at {at:%Y-%m-%dT%H:%M:%SZ}",
                got=f"valid from {self.not_before:%Y-%m-%d} to {self.not_after:%Y-%m-%d}",
                hint="is the clock right? otherwise fetch a new certificate from AMD",
            )

    def check_issued_by(self, issuer: Certificate, key: PublicKeyTypes | None = None) -> None:
        """Refuse unless `issuer` is an authority that signed this certificate.

        Args:
            issuer: who should have signed.
            key: the issuer's key, if it is at hand already.

        Raises:
            NotGenuineError: another issuer, or a signature that does not hold.
        """
        if self.issuer != issuer.subject or not issuer.authority:
            raise NotGenuineError(
                "snp.chain",
                expected=f"{self.common_name} issued by the authority {issuer.common_name}",
                got="another issuer",
                hint="VCEK goes with ASK, VLEK with ASVK, both of the product line of the CPU",
            )
        check_signature(issuer, self.algorithm, self.signature, self.signed, key=key or issuer.public_key())


def check_signature(
    signer: Certificate,
    algorithm: bytes,
    signature: bytes,
    signed: bytes,
    *,
    key: PublicKeyTypes,
) -> None:
    """Check what AMD's RSA keys sign: certificates and revocation lists.

    Raises:
        NotGenuineError: another algorithm, another kind of key, or the signature does not hold.
    """
    if algorithm not in RSASSA_PSS_SHA384 or not isinstance(key, rsa.RSAPublicKey):
        raise NotGenuineError("snp.chain", expected="RSASSA-PSS with SHA-384 by an RSA key", got="another algorithm")
    try:
        key.verify(signature, signed, _PADDING, hashes.SHA384())
    except InvalidSignature:
        raise NotGenuineError(
            "snp.chain",
            expected=f"a signature by {signer.common_name}",
            got="one that does not verify",
        ) from None


def parse_certificate(der: bytes) -> Certificate:
    """Read one certificate.

    Args:
        der: DER.

    Raises:
        MalformedError: not a certificate of version 3, a repeated extension, or a critical one nobody understands.
    """
    if len(der) > MAX_SIZE:
        raise MalformedError(f"certificate has {len(der)} bytes, at most {MAX_SIZE} are read")
    signed, algorithm, signature = parse_der(der).fields(Tag.SEQUENCE, Tag.SEQUENCE, Tag.BIT_STRING, what="certificate")
    version, serial, inner, issuer, validity, subject, key_info, wrapped = signed.fields(
        Tag.context(0),
        Tag.INTEGER,
        Tag.SEQUENCE,
        Tag.SEQUENCE,
        Tag.SEQUENCE,
        Tag.SEQUENCE,
        Tag.SEQUENCE,
        _EXTENSIONS_TAG,
        what="certificate of version 3",
    )
    if version.value != _VERSION_3 or inner.raw != algorithm.raw:
        raise MalformedError("certificate: not version 3, or two different signature algorithms")
    not_before, not_after = _validity(validity)
    extensions = _extensions(wrapped)
    return Certificate(
        der=bytes(der),
        signed=signed.raw,
        signature=signature.bits(),
        algorithm=algorithm.raw,
        serial=serial.integer(),
        issuer=issuer.raw,
        subject=subject.raw,
        not_before=not_before,
        not_after=not_after,
        key_info=key_info.raw,
        extensions=extensions,
        authority=_authority(extensions.get(_BASIC_CONSTRAINTS)),
    )


def split_pem(text: bytes) -> tuple[bytes, ...]:
    """Give the DER of every certificate in a PEM file, in order.

    Raises:
        MalformedError: none is there, or one is not base64.
    """
    try:
        found = tuple(base64.b64decode(b"".join(body.split()), validate=True) for body in _PEM.findall(text))
    except (binascii.Error, ValueError):
        raise MalformedError("PEM: certificate is not base64") from None
    if not found:
        raise MalformedError("PEM: no certificate found")
    return found


def _validity(element: Element) -> tuple[datetime, datetime]:
    times = tuple(element.children())
    if len(times) != 2:  # noqa: PLR2004 - from and to
        raise MalformedError(f"certificate: validity holds {len(times)} times, expected two")
    return times[0].time(), times[1].time()


def _extensions(wrapped: Element) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for sequence in wrapped.children():
        for extension in sequence.children():
            name, critical, value = _extension(tuple(extension.children()))
            if name in found:
                raise MalformedError(f"certificate: extension {name.hex()} appears twice")
            if critical and name not in _UNDERSTOOD:
                raise MalformedError(f"certificate: unknown critical extension {name.hex()}")
            found[name] = value
    return found


def _extension(parts: tuple[Element, ...]) -> _Extension:
    tags = tuple(part.tag for part in parts)
    if tags == (Tag.OBJECT_IDENTIFIER, Tag.OCTET_STRING):
        return _Extension(parts[0].value, critical=False, value=parts[1].value)
    if tags == (Tag.OBJECT_IDENTIFIER, Tag.BOOLEAN, Tag.OCTET_STRING):
        return _Extension(parts[0].value, critical=parts[1].boolean(), value=parts[2].value)
    raise MalformedError("certificate: an extension is not a name, a flag and a value")


def _authority(constraints: bytes | None) -> bool:
    if constraints is None:
        return False
    inside = tuple(parse_der(constraints).expect(Tag.SEQUENCE, "basicConstraints").children())
    return bool(inside) and inside[0].tag == Tag.BOOLEAN and inside[0].boolean()


_VERSION_3: Final = bytes.fromhex("020102")
