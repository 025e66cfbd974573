# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AMD's authorities made of software: ARK, ASK and ASVK, the certificates they sign, the lists they revoke with.

Everything is encoded as AMD encodes it (AMD 57230; AMD 58369 for VLEK): the same names in the same order, the same
extensions, the same two spellings of RSASSA-PSS. Another certificate is one `dataclasses.replace` away.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.der import Tag
from attestation.testing import der

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

AMD: Final = "1.3.6.1.4.1.3704.1"
RSA_BITS: Final = 4096
RSA_EXPONENT: Final = 65537

_VERSION_3: Final = der.tlv(Tag.context(0), der.integer(2))
_CRL_VERSION_2: Final = der.integer(1)
_SUBJECT_KEY: Final = "2.5.29.14"
_KEY_USAGE: Final = "2.5.29.15"
_BASIC_CONSTRAINTS: Final = "2.5.29.19"
_CRL_NUMBER: Final = "2.5.29.20"
_DISTRIBUTION_POINTS: Final = "2.5.29.31"
_AUTHORITY_KEY: Final = "2.5.29.35"


def _rsassa_pss(*trailer: bytes) -> bytes:
    sha384 = der.sequence(der.oid("2.16.840.1.101.3.4.2.2"), der.tlv(0x05))
    mgf1 = der.sequence(der.oid("1.2.840.113549.1.1.8"), sha384)
    salt = der.integer(hashes.SHA384.digest_size)
    tagged = (der.tlv(Tag.context(number), value) for number, value in enumerate((sha384, mgf1, salt, *trailer)))
    return der.sequence(der.oid("1.2.840.113549.1.1.10"), der.sequence(*tagged))


# What an ARK signs spells out the default trailer field; what an ASK or ASVK signs leaves it away, as DER demands.
PSS_BY_ROOT: Final = _rsassa_pss(der.integer(1))
PSS_BY_SIGNER: Final = _rsassa_pss()


@dataclass(frozen=True, eq=False, kw_only=True)
class Authority:
    """An ARK, ASK or ASVK.

    Attributes:
        common_name: "ARK-Milan", "SEV-Milan", "SEV-VLEK-Milan".
        serial: serial number of its certificate.
        key: RSA key.
        parent: who signed its certificate; None for an ARK, which does so itself.
        crl_address: where its certificate says that revocation lists are.
        not_before, not_after: validity, aware UTC.
        is_authority: what basicConstraints says.
    """

    common_name: str
    serial: int
    key: rsa.RSAPrivateKey
    parent: Authority | None = None
    crl_address: str = ""
    not_before: datetime = datetime(2020, 10, 22, 17, 23, 5, tzinfo=UTC)
    not_after: datetime = datetime(2045, 10, 22, 17, 23, 5, tzinfo=UTC)
    is_authority: bool = True

    @property
    def subject(self) -> bytes:
        """Its Name, DER."""
        return name(self.common_name)

    @property
    def key_info(self) -> bytes:
        """Its SubjectPublicKeyInfo, DER."""
        return public_key_info(self.key.public_key())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its SubjectPublicKeyInfo in lower-case hex, as roots are pinned."""
        return hashlib.sha256(self.key_info).hexdigest()

    @property
    def key_identifier(self) -> bytes:
        """SHA-1 of its key (RFC 5280, 4.2.1.2)."""
        numbers = self.key.public_key().public_numbers()
        key = der.sequence(der.integer(numbers.n), der.integer(numbers.e))
        return hashlib.sha1(key, usedforsecurity=False).digest()

    @functools.cached_property
    def certificate(self) -> bytes:
        """Its certificate, DER; the same bytes each time."""
        issuer = self.parent or self
        return issuer.certify(
            serial=self.serial,
            subject=self.subject,
            not_before=self.not_before,
            not_after=self.not_after,
            key_info=self.key_info,
            extensions=self._extensions(),
        )

    def certify(
        self,
        *,
        serial: int,
        subject: bytes,
        not_before: datetime,
        not_after: datetime,
        key_info: bytes,
        extensions: Sequence[bytes],
    ) -> bytes:
        """Sign a certificate of version 3.

        Args:
            serial: serial number.
            subject: Name, DER.
            not_before: beginning of its validity, aware UTC.
            not_after: end of its validity, aware UTC.
            key_info: SubjectPublicKeyInfo, DER.
            extensions: each as `extension` gives it.

        Returns:
            DER.
        """
        return self._sign(
            _VERSION_3,
            der.integer(serial),
            self._algorithm,
            self.subject,
            der.sequence(der.time(not_before), der.time(not_after)),
            subject,
            key_info,
            der.tlv(Tag.context(3), der.sequence(*extensions)),
        )

    def revoke(self, serials: Sequence[int], *, this_update: datetime, next_update: datetime) -> bytes:
        """Sign a revocation list (RFC 5280, section 5).

        Args:
            serials: serial numbers that it revokes.
            this_update: when it was made, aware UTC.
            next_update: when the next one comes, aware UTC.

        Returns:
            DER.
        """
        entries = [der.sequence(der.integer(serial), der.time(this_update)) for serial in serials]
        extensions = (self._names_key_of(self), extension(_CRL_NUMBER, der.integer(1)))
        return self._sign(
            _CRL_VERSION_2,
            self._algorithm,
            self.subject,
            der.time(this_update),
            der.time(next_update),
            # An empty list of revoked certificates must be left away.
            *([der.sequence(*entries)] if entries else []),
            der.tlv(Tag.context(0), der.sequence(*extensions)),
        )

    @property
    def _algorithm(self) -> bytes:
        return PSS_BY_SIGNER if self.parent else PSS_BY_ROOT

    def _sign(self, *fields: bytes) -> bytes:
        signed = der.sequence(*fields)
        sha384 = hashes.SHA384()
        signature = self.key.sign(signed, padding.PSS(padding.MGF1(sha384), sha384.digest_size), sha384)
        return der.sequence(signed, self._algorithm, der.bits(signature))

    def _extensions(self) -> Sequence[bytes]:
        subject_key = extension(_SUBJECT_KEY, der.octets(self.key_identifier))
        flag = der.boolean(value=self.is_authority)
        address = der.text(Tag.context(6, constructed=False), self.crl_address)
        point = der.tlv(Tag.context(0), der.tlv(Tag.context(0), address))
        distribution_points = extension(_DISTRIBUTION_POINTS, der.sequence(der.sequence(point)))
        if self.parent is None:
            usage = extension(_KEY_USAGE, der.bits(b"\x06", unused=1), critical=True)  # certificates and lists
            constraints = extension(_BASIC_CONSTRAINTS, der.sequence(flag), critical=True)
            return usage, subject_key, constraints, distribution_points
        usage = extension(_KEY_USAGE, der.bits(b"\x04", unused=2), critical=True)  # certificates
        constraints = extension(_BASIC_CONSTRAINTS, der.sequence(flag, der.integer(0)), critical=True)
        return subject_key, self._names_key_of(self.parent), constraints, usage, distribution_points

    def _names_key_of(self, signer: Authority) -> bytes:
        identifier = der.tlv(Tag.context(0, constructed=False), signer.key_identifier)
        return extension(_AUTHORITY_KEY, der.sequence(identifier))


def name(common_name: str) -> bytes:
    """Encode a Name of AMD: unit, country, place, state, organisation, common name."""
    attributes = (
        ("2.5.4.11", Tag.UTF8_STRING, "Engineering"),
        ("2.5.4.6", Tag.PRINTABLE_STRING, "US"),
        ("2.5.4.7", Tag.UTF8_STRING, "Santa Clara"),
        ("2.5.4.8", Tag.UTF8_STRING, "CA"),
        ("2.5.4.10", Tag.UTF8_STRING, "Advanced Micro Devices"),
        ("2.5.4.3", Tag.UTF8_STRING, common_name),
    )
    return der.sequence(
        *(der.tlv(Tag.SET, der.sequence(der.oid(kind), der.text(tag, value))) for kind, tag, value in attributes),
    )


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """Encode an extension.

    Args:
        dotted: its OID.
        value: what goes into its OCTET STRING.
        critical: whether who does not know it must refuse.
    """
    flag = [der.boolean(value=True)] if critical else []
    return der.sequence(der.oid(dotted), *flag, der.octets(value))


def public_key_info(key: CertificatePublicKeyTypes) -> bytes:
    """Encode a key as SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
