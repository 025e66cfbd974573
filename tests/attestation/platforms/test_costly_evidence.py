# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence that would make the verifier work hard is refused before the work begins."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from attestation import Evidence
from attestation.aws.document import parse_document
from attestation.azure.runtime_data import parse_runtime_data
from attestation.chain import load_certificate
from attestation.errors import MalformedError

MODULUS = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n


def base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def runtime_data(exponent: int) -> bytes:
    key = {"kid": "HCLAkPub", "kty": "RSA", "n": base64url(MODULUS), "e": base64url(exponent)}
    return json.dumps({"keys": [key]}).encode()


def certificate(exponent: int) -> bytes:
    name = x509.Name([])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=rsa.RSAPublicNumbers(exponent, MODULUS).public_key(),
        serial_number=1,
        not_valid_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2027, 1, 1, tzinfo=UTC),
    )
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def test_the_largest_exponent_that_somebody_uses_is_read() -> None:
    assert parse_runtime_data(runtime_data(0xFFFFFFFF)).attestation_key.key_size == 2048
    load_certificate(certificate(0xFFFFFFFF))


@pytest.mark.parametrize("exponent", [0x100000001, (1 << 2000) + 1])
def test_a_larger_exponent_is_refused(exponent: int) -> None:
    with pytest.raises(MalformedError, match="exponent"):
        parse_runtime_data(runtime_data(exponent))
    with pytest.raises(MalformedError, match="exponent"):
        load_certificate(certificate(exponent))


def test_many_strings_are_refused() -> None:
    many = json.dumps({f"{number:x}": 0 for number in range(100_000)}).encode()
    with pytest.raises(MalformedError, match="strings"):
        Evidence.from_json(many[: 1 << 20])


def test_a_document_of_many_items_is_refused() -> None:
    with pytest.raises(MalformedError, match="at most 16384"):
        parse_document(b"\x84" * 16385)
