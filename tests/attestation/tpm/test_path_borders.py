# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The borders of what certificate paths are read and believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest.mock import create_autospec

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from attestation.chain import load_certificate, verify_chain
from attestation.errors import MalformedError, NotGenuineError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT_KEY = ec.generate_private_key(ec.SECP384R1())
LEAF_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def builder(subject: str, key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(name("root"), name(subject), key, 0xABC, NOW - DAY, NOW + DAY)


def root(*extensions: x509.ExtensionType) -> x509.Certificate:
    made = builder("root", ROOT_KEY.public_key())
    for extension in (x509.BasicConstraints(ca=True, path_length=None), *extensions):
        made = made.add_extension(extension, critical=True)
    return made.sign(ROOT_KEY, hashes.SHA384())


def leaf(
    *extensions: x509.ExtensionType,
    key: CertificatePublicKeyTypes = LEAF_KEY,
    subject: str = "leaf",
    algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
) -> x509.Certificate:
    made = builder(subject, key)
    for extension in extensions:
        made = made.add_extension(extension, critical=True)
    return made.sign(ROOT_KEY, algorithm or hashes.SHA256())


def refusal(certificate: x509.Certificate, *roots: x509.Certificate) -> str:
    with pytest.raises(NotGenuineError) as caught:
        verify_chain(certificate, [], roots or [root()], NOW)
    return caught.value.check


def modulus(bits: int) -> rsa.RSAPublicKey:
    """A number of this length that passes for a key as long as nobody signs with it."""
    return rsa.RSAPublicNumbers(65537, (1 << bits) - 1).public_key()


def test_a_certificate_of_the_largest_size_is_read() -> None:
    largest = leaf().public_bytes(Encoding.PEM).ljust(16 * 1024, b"\n")
    assert load_certificate(largest) == leaf_of(largest)
    with pytest.raises(MalformedError, match="16385 bytes, at most 16384 are read"):
        load_certificate(largest + b"\n")


def leaf_of(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


@pytest.mark.parametrize("bits", [2048, 4096])
def test_the_smallest_and_the_largest_rsa_key(bits: int) -> None:
    certificate = load_certificate(leaf(key=modulus(bits)).public_bytes(Encoding.DER))
    assert verify_chain(certificate, [], [root()], NOW).leaf == certificate


def test_rsa_keys_beyond_the_borders() -> None:
    assert refusal(leaf(key=modulus(2047))) == "chain.strength"
    with pytest.raises(MalformedError, match="RSA key of 4097 bits"):
        load_certificate(leaf(key=modulus(4097)).public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP192R1()).public_key(),
        ec.generate_private_key(ec.SECP224R1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ],
)
def test_other_keys_are_refused(key: CertificatePublicKeyTypes) -> None:
    assert refusal(leaf(key=key)) == "chain.strength"


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_every_strong_hash_is_accepted(algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512) -> None:
    verify_chain(leaf(algorithm=algorithm), [], [root()], NOW)


@pytest.mark.parametrize(
    "extension",
    [
        x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.23.133.8.1")]),
        x509.SubjectAlternativeName([x509.DNSName("node")]),
        x509.BasicConstraints(ca=False, path_length=None),
    ],
)
def test_critical_extensions_that_are_looked_at(extension: x509.ExtensionType) -> None:
    verify_chain(leaf(extension), [], [root()], NOW)


def test_a_leaf_without_constraints_and_a_root_without_key_usage() -> None:
    path = verify_chain(leaf(), [], [root()], NOW)
    assert path.vouchers == ("CN=root",)


def test_a_certificate_without_a_subject_is_named_by_its_number() -> None:
    certificate = leaf(x509.BasicConstraints(ca=True, path_length=None), subject="")
    with pytest.raises(NotGenuineError, match=r"an authority: certificate abc$"):
        verify_chain(certificate, [], [root()], NOW)


@pytest.mark.parametrize("objection", [InvalidSignature(), ValueError("x"), TypeError("x"), UnsupportedAlgorithm("x")])
def test_whatever_is_said_against_a_signature_refuses_it(objection: Exception) -> None:
    certificate = leaf()
    stub = create_autospec(x509.Certificate, instance=True)
    for field in ("issuer", "subject", "signature_hash_algorithm", "extensions"):
        setattr(stub, field, getattr(certificate, field))
    stub.not_valid_before_utc, stub.not_valid_after_utc = NOW - DAY, NOW + DAY
    stub.public_key.return_value = LEAF_KEY
    stub.verify_directly_issued_by.side_effect = objection
    assert refusal(stub) == "chain.path"


def unrecognised(oid: str, value: bytes = b"\x05\x00") -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


SERIAL, NEGATIVE_SERIAL = b"\x02\x02\x0a\xbc", b"\x02\x02\x8a\xbc"
ECDSA_SHA256, UNKNOWN_ALGORITHM = bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d04037f")
UNKNOWN_GENERAL_NAME = bytes.fromhex("3004a3020500")  # x400Address


@pytest.mark.parametrize(
    "certificate, before, after",
    [
        pytest.param(leaf(), b"leaf", b"le\xfff", id="a subject that is no text"),
        pytest.param(leaf(), b"root", b"ro\xfft", id="an issuer that is no text"),
        pytest.param(leaf(), ECDSA_SHA256, UNKNOWN_ALGORITHM, id="an algorithm that nobody knows"),
        pytest.param(leaf(), SERIAL, NEGATIVE_SERIAL, id="a negative serial number"),
        pytest.param(
            leaf(unrecognised("1.2.3.4"), unrecognised("1.2.3.5")), b"\x2a\x03\x05", b"\x2a\x03\x04", id="twins"
        ),
        pytest.param(leaf(unrecognised("2.5.29.17", UNKNOWN_GENERAL_NAME)), b"", b"", id="a name of another kind"),
        pytest.param(leaf(unrecognised("2.5.29.19", b"\x05")), b"", b"", id="constraints that are cut off"),
    ],
)
def test_what_cannot_be_read_is_malformed(certificate: x509.Certificate, before: bytes, after: bytes) -> None:
    data = certificate.public_bytes(Encoding.DER)
    assert before in data
    with pytest.raises(MalformedError, match=r"^not a certificate that can be read: "):
        load_certificate(data.replace(before, after))
