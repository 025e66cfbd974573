# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Certificate paths: a small authority in which one line breaks one property."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from attestation.chain import load_certificate, verify_chain
from attestation.errors import MalformedError, NotGenuineError

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 6, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
EK_USAGE = x509.ObjectIdentifier("2.23.133.8.1")
KEYS = [ec.generate_private_key(ec.SECP256R1()) for _ in range(5)]


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
        **dict.fromkeys(others, False),
    )


@dataclass
class Link:
    """One certificate before it is signed."""

    subject: str
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    is_authority: bool = True
    path_length: int | None = None
    has_constraints: bool = True
    signs_certificates: bool = True
    usage: x509.ObjectIdentifier | None = None
    extra: x509.ExtensionType | None = None
    start: datetime = NOW - YEAR
    end: datetime = NOW + YEAR
    issuer: str = ""
    hash_algorithm: hashes.SHA224 | hashes.SHA256 = field(default_factory=hashes.SHA256)

    def signed_by(self, issuer: Link) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(self.subject))
            .issuer_name(name(self.issuer or issuer.subject))
            .public_key(self.key.public_key())
            .serial_number(7)
            .not_valid_before(self.start)
            .not_valid_after(self.end)
            .add_extension(key_usage(signs_certificates=self.signs_certificates), critical=True)
        )
        if self.has_constraints:
            constraints = x509.BasicConstraints(ca=self.is_authority, path_length=self.path_length)
            builder = builder.add_extension(constraints, critical=True)
        if self.usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([self.usage]), critical=False)
        if self.extra:
            builder = builder.add_extension(self.extra, critical=True)
        return builder.sign(issuer.key, self.hash_algorithm)


class Authority:
    """A root, two intermediates and a leaf."""

    def __init__(self) -> None:
        self.root = Link("root", KEYS[0])
        self.upper = Link("upper", KEYS[1])
        self.lower = Link("lower", KEYS[2])
        self.leaf = Link("leaf", KEYS[3], is_authority=False, signs_certificates=False, usage=EK_USAGE)

    def verify(self, *, at: datetime = NOW, usage: x509.ObjectIdentifier | None = EK_USAGE) -> tuple[str, ...]:
        root = self.root.signed_by(self.root)
        upper, lower = self.upper.signed_by(self.root), self.lower.signed_by(self.upper)
        leaf = self.leaf.signed_by(self.lower)
        certificates = [load_certificate(each.public_bytes(Encoding.DER)) for each in (leaf, lower, upper, root)]
        path = verify_chain(certificates[0], certificates[1:3], certificates[3:], at, extended_usage=usage)
        assert path.certificates == tuple(certificates)
        assert path.leaf == certificates[0]
        return path.vouchers

    def refused(self, *, at: datetime = NOW, usage: x509.ObjectIdentifier | None = EK_USAGE) -> str:
        with pytest.raises(NotGenuineError) as refusal:
            self.verify(at=at, usage=usage)
        assert "None" not in str(refusal.value)
        return refusal.value.check


@pytest.fixture
def authority() -> Authority:
    return Authority()


def test_honest_path_is_found_and_named_from_the_root(authority: Authority) -> None:
    assert authority.verify() == ("CN=root", "CN=upper", "CN=lower")
    assert authority.verify(usage=None)


def test_order_of_intermediates_does_not_matter_and_strangers_are_ignored(authority: Authority) -> None:
    root = authority.root.signed_by(authority.root)
    upper, lower = authority.upper.signed_by(authority.root), authority.lower.signed_by(authority.upper)
    stranger = Link("lower", KEYS[4])
    leaf = authority.leaf.signed_by(authority.lower)
    path = verify_chain(leaf, [upper, stranger.signed_by(stranger), lower], [root], NOW)
    assert path.certificates == (leaf, lower, upper, root)


def test_another_authority_of_the_same_name_is_refused(authority: Authority) -> None:
    impostor = Link("root", KEYS[4])
    leaf = authority.leaf.signed_by(impostor)
    root = authority.root.signed_by(authority.root)
    with pytest.raises(NotGenuineError) as refusal:
        verify_chain(leaf, [impostor.signed_by(impostor)], [root], NOW)
    assert refusal.value.check == "chain.path"


def test_without_roots_nothing_is_believed(authority: Authority) -> None:
    leaf = authority.leaf.signed_by(authority.root)
    with pytest.raises(NotGenuineError, match="none is configured"):
        verify_chain(leaf, [authority.root.signed_by(authority.root)], [], NOW)


def test_root_does_not_vouch_for_itself_as_a_leaf(authority: Authority) -> None:
    root = authority.root.signed_by(authority.root)
    with pytest.raises(NotGenuineError) as refusal:
        verify_chain(root, [], [root], NOW)
    assert refusal.value.check == "chain.leaf"


def test_leaf_that_signs_a_leaf_is_refused(authority: Authority) -> None:
    authority.lower.is_authority = False
    assert authority.refused() == "chain.authority"


def test_old_certificate_without_constraints_is_no_authority(authority: Authority) -> None:
    authority.lower.has_constraints = False
    assert authority.refused() == "chain.authority"


def test_key_that_may_not_sign_certificates_is_refused(authority: Authority) -> None:
    authority.upper.signs_certificates = False
    assert authority.refused() == "chain.key_usage"


@pytest.mark.parametrize("length,allowed", [(0, False), (1, True), (2, True)])
def test_path_length_is_counted_in_authorities_below(authority: Authority, length: int, *, allowed: bool) -> None:
    authority.upper.path_length = length
    if allowed:
        authority.verify()
    else:
        assert authority.refused() == "chain.length"


@pytest.mark.parametrize("link", ["root", "upper", "lower", "leaf"])
@pytest.mark.parametrize("moment", ["expired", "not-yet"])
def test_each_must_be_valid_at_the_time_given(authority: Authority, link: str, moment: str) -> None:
    each: Link = getattr(authority, link)
    if moment == "expired":
        each.end = NOW - timedelta(seconds=1)
    else:
        each.start = NOW + timedelta(seconds=1)
    assert authority.refused() == "chain.time"


def test_time_is_passed_in_and_borders_are_inside(authority: Authority) -> None:
    authority.verify(at=NOW + YEAR)
    authority.verify(at=NOW - YEAR)
    assert authority.refused(at=NOW + YEAR + timedelta(seconds=1)) == "chain.time"


@pytest.mark.parametrize("usage", [ExtendedKeyUsageOID.SERVER_AUTH, None], ids=["other", "none"])
def test_leaf_for_something_else_is_refused(authority: Authority, usage: x509.ObjectIdentifier | None) -> None:
    authority.leaf.usage = usage
    assert authority.refused() == "chain.usage"


@pytest.mark.parametrize("link", ["upper", "leaf"])
def test_critical_extension_that_nobody_looked_at_is_refused(authority: Authority, link: str) -> None:
    getattr(authority, link).extra = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert authority.refused() == "chain.critical"


def test_name_constraints_are_not_processed_and_so_refused(authority: Authority) -> None:
    authority.upper.extra = x509.NameConstraints([x509.DNSName("example.org")], None)
    assert authority.refused() == "chain.critical"


def test_weak_key_is_refused(authority: Authority) -> None:
    authority.leaf.key = rsa.generate_private_key(65537, 1024)
    assert authority.refused() == "chain.strength"


def test_signature_over_a_weak_hash_is_refused(authority: Authority) -> None:
    authority.lower.hash_algorithm = hashes.SHA224()
    assert authority.refused() == "chain.path"


def test_issuer_must_be_the_one_that_is_named(authority: Authority) -> None:
    authority.leaf.issuer = "somebody else"
    assert authority.refused() == "chain.path"


def test_every_flipped_byte_of_what_was_signed_is_refused(authority: Authority) -> None:
    root = authority.root.signed_by(authority.root)
    leaf = authority.leaf.signed_by(authority.root)
    data = leaf.public_bytes(Encoding.DER)
    verify_chain(load_certificate(data), [], [root], NOW)
    start = data.index(leaf.tbs_certificate_bytes)
    for index in range(start, start + len(leaf.tbs_certificate_bytes)):
        flipped = bytearray(data)
        flipped[index] ^= 1
        with pytest.raises((NotGenuineError, MalformedError)):
            verify_chain(load_certificate(bytes(flipped)), [], [root], NOW)


def test_expired_twin_of_a_root_does_not_hide_the_valid_one(authority: Authority) -> None:
    expired = Link("root", KEYS[0], end=NOW - timedelta(days=1))
    roots = [expired.signed_by(expired), authority.root.signed_by(authority.root)]
    path = verify_chain(authority.leaf.signed_by(authority.root), [], roots, NOW)
    assert path.certificates[-1] == roots[1]


def test_twenty_copies_of_an_intermediate_are_too_many(authority: Authority) -> None:
    root = authority.root.signed_by(authority.root)
    with pytest.raises(MalformedError, match="at most 8"):
        verify_chain(authority.leaf.signed_by(authority.root), [root] * 9, [root], NOW)


def test_authorities_that_vouch_for_each_other_end_the_search(authority: Authority) -> None:
    root = authority.root.signed_by(authority.root)
    upper, lower = authority.upper.signed_by(authority.lower), authority.lower.signed_by(authority.upper)
    with pytest.raises(NotGenuineError) as refusal:
        verify_chain(authority.leaf.signed_by(authority.lower), [upper, lower] * 4, [root], NOW)
    assert refusal.value.check == "chain.path"


def test_pem_is_read_too(authority: Authority) -> None:
    certificate = authority.leaf.signed_by(authority.root)
    assert load_certificate(b"\n" + certificate.public_bytes(Encoding.PEM)) == certificate


@given(data=st.binary(max_size=300))
def test_garbage_is_no_certificate(data: bytes) -> None:
    with pytest.raises(MalformedError, match="not a certificate"):
        load_certificate(data)
    with pytest.raises(MalformedError):
        load_certificate(b"-----BEGIN CERTIFICATE-----\n" + data)


def test_a_mebibyte_is_no_certificate() -> None:
    with pytest.raises(MalformedError, match="at most"):
        load_certificate(b"\x30" * 2**20)


def test_google_authorities_chain(vectors: Path) -> None:
    folder = vectors / "google__go-tpm-tools/server/ca-certs"
    intermediate = load_certificate((folder / "gcp_ek_ak_ca_intermediate_v3.crt").read_bytes())
    root = load_certificate((folder / "gcp_ek_ak_ca_root.crt").read_bytes())
    intermediate.verify_directly_issued_by(root)
    with pytest.raises(NotGenuineError) as refusal:
        verify_chain(intermediate, [], [root], datetime(2024, 1, 1, tzinfo=UTC), check="gcp.ak_chain")
    assert refusal.value.check == "gcp.ak_chain.leaf"
