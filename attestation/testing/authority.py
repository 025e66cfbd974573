# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cloud's or a manufacturer's certificate authority made of software: root, intermediate, leaf.

google = FakeAuthority("Google")
certificate = google.certify(tpm.public_key)
policy["ak_roots"] = [google.root_pem]

mallory = FakeAuthority("Google", owner="mallory")         # the same names, other keys
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2034, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FakeAuthority:
    """An authority. Two of the same name and owner are the same one: keys are made once in a process.

    Attributes:
        name: stands in front of the names of its certificates.
        owner: tells it from an impostor; certificates do not show it.
    """

    name: str
    owner: str = "genuine"

    @property
    def root(self) -> bytes:
        """Root certificate, DER."""
        return _root(self.name, self.owner).public_bytes(Encoding.DER)

    @property
    def root_pem(self) -> str:
        """Root certificate, PEM, as policies name it."""
        return _root(self.name, self.owner).public_bytes(Encoding.PEM).decode("ascii")

    @property
    def intermediate(self) -> bytes:
        """Certificate of the authority that certifies, DER."""
        return _intermediate(self.name, self.owner).public_bytes(Encoding.DER)

    def certify(
        self,
        key: CertificatePublicKeyTypes,
        *,
        subject: str = "leaf",
        not_before: datetime = NOT_BEFORE,
        not_after: datetime = NOT_AFTER,
    ) -> bytes:
        """Certify a key that signs, DER.

        Args:
            key: the key.
            subject: common name.
            not_before: beginning of its validity, aware UTC.
            not_after: end of its validity, aware UTC.
        """
        issuer, signer = _intermediate(self.name, self.owner).subject, _key(self.name, self.owner, "intermediate")
        builder = _builder(issuer, subject, key, is_authority=False)
        certificate = builder.not_valid_before(not_before).not_valid_after(not_after).sign(signer, hashes.SHA384())
        return certificate.public_bytes(Encoding.DER)


@functools.cache
def _key(name: str, owner: str, role: str) -> ec.EllipticCurvePrivateKey:  # noqa: ARG001 - they tell keys apart
    return ec.generate_private_key(ec.SECP384R1())


@functools.cache
def _root(name: str, owner: str) -> x509.Certificate:
    key, subject = _key(name, owner, "root"), f"{name} root"
    builder = _builder(_name(subject), subject, key.public_key(), is_authority=True)
    return builder.not_valid_before(NOT_BEFORE).not_valid_after(NOT_AFTER).sign(key, hashes.SHA384())


@functools.cache
def _intermediate(name: str, owner: str) -> x509.Certificate:
    key = _key(name, owner, "intermediate").public_key()
    builder = _builder(_root(name, owner).subject, f"{name} intermediate", key, is_authority=True)
    builder = builder.not_valid_before(NOT_BEFORE).not_valid_after(NOT_AFTER)
    return builder.sign(_key(name, owner, "root"), hashes.SHA384())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    issuer: x509.Name, subject: str, key: CertificatePublicKeyTypes, *, is_authority: bool
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(_name(subject))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
