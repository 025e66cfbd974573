# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Intel's authorities made of software: SGX Root CA, PCK CAs, TCB signing; what they certify and revoke.

Names and extensions are those of Intel's "SGX PCK Certificate and CRL Profile Specification". Another certificate is
one `dataclasses.replace` away.
"""

from __future__ import annotations

import functools
import hashlib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

_HALF: Final = 32  # bytes of r, of s


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a certificate says of its subject.

    Attributes:
        common_name: name.
        key: public key.
        serial: serial number.
        not_before, not_after: validity, aware UTC.
        is_authority: what basicConstraints says.
        signs_certificates: what keyUsage says; None as basicConstraints says.
        extensions: further ones.
        critical_extensions: further ones that are critical.
    """

    common_name: str
    key: CertificatePublicKeyTypes
    serial: int
    not_before: datetime
    not_after: datetime
    is_authority: bool = False
    signs_certificates: bool | None = None
    extensions: Sequence[x509.ExtensionType] = ()
    critical_extensions: Sequence[x509.ExtensionType] = ()

    @property
    def role(self) -> tuple[x509.BasicConstraints, x509.KeyUsage]:
        """Extensions that say what it may do."""
        signs_certificates = self.is_authority if self.signs_certificates is None else self.signs_certificates
        usage = x509.KeyUsage(
            digital_signature=not signs_certificates,
            content_commitment=not signs_certificates,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=signs_certificates,
            crl_sign=signs_certificates,
            encipher_only=False,
            decipher_only=False,
        )
        return x509.BasicConstraints(ca=self.is_authority, path_length=None), usage


@dataclass(frozen=True, eq=False, kw_only=True)
class Authority:
    """A key that Intel certified.

    Attributes:
        common_name: "Intel SGX Root CA", "Intel SGX PCK Platform CA", "Intel SGX TCB Signing".
        key: P-256 key.
        parent: who signed its certificate; None for the root, which does so itself.
        serial: serial number of its certificate.
        not_before, not_after: validity, aware UTC.
        is_authority: what basicConstraints says.
        signs_certificates: what keyUsage says; None as basicConstraints says.
    """

    common_name: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    parent: Authority | None = None
    serial: int = 1
    not_before: datetime = datetime(2018, 5, 21, 10, 50, 10, tzinfo=UTC)
    not_after: datetime = datetime(2033, 5, 21, 10, 50, 10, tzinfo=UTC)
    is_authority: bool = True
    signs_certificates: bool | None = None

    @functools.cached_property
    def certificate(self) -> bytes:
        """Its certificate, DER; the same bytes each time."""
        return (self.parent or self).certify(
            Subject(
                common_name=self.common_name,
                key=self.key.public_key(),
                serial=self.serial,
                not_before=self.not_before,
                not_after=self.not_after,
                is_authority=self.is_authority,
                signs_certificates=self.signs_certificates,
            ),
        )

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Its certificate and those above, DER."""
        return (self.certificate, *(self.parent.chain if self.parent else ()))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its SubjectPublicKeyInfo in lower-case hex, as roots are pinned."""
        info = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(info).hexdigest()

    def certify(self, subject: Subject) -> bytes:
        """Sign a certificate, DER."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject.common_name))
            .issuer_name(_name(self.common_name))
            .public_key(subject.key)
            .serial_number(subject.serial)
            .not_valid_before(subject.not_before)
            .not_valid_after(subject.not_after)
        )
        names = (
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
            x509.SubjectKeyIdentifier.from_public_key(subject.key),
        )
        for extension in (*names, *subject.extensions):
            builder = builder.add_extension(extension, critical=False)
        for extension in (*subject.role, *subject.critical_extensions):
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def revoke(self, serials: Iterable[int] = (), *, this_update: datetime, next_update: datetime) -> bytes:
        """Sign a revocation list.

        Args:
            serials: serial numbers that it revokes.
            this_update: when it was made, aware UTC.
            next_update: when the next one comes, aware UTC.

        Returns:
            DER.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(_name(self.common_name))
            .last_update(this_update)
            .next_update(next_update)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(this_update).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Sign with ECDSA and SHA-256 in Intel's form: r and s, 32 bytes each, big endian."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def pem(certificates: Iterable[bytes]) -> str:
    """Give certificates as text, one after the other."""
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in certificates)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Intel Corporation"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "Santa Clara"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "CA"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        ],
    )
