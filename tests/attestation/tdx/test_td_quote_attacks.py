# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real quotes are genuine at the right time, and every attack is refused by the check that is there for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from attestation.der import parse_der
from attestation.errors import MalformedError, NotGenuineError
from attestation.roots import VENDOR_ROOTS, Roots
from attestation.tdx.quote import parse_quote
from attestation.tdx.verify import VerifiedQuote, verify_quote
from attestation.testing import der
from attestation.testing.tdx import FakeIntel

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.testing.intel_authority import Subject
    from attestation.testing.tdx import FakeTdxPlatform

AT = datetime(2026, 1, 1, tzinfo=UTC)
INTEL = FakeIntel()
MALLORY = FakeIntel("mallory")
REAL = ["dcap-qvl", "trustee-4-debug", "trustee-5", "azure", "sapphire-rapids"]


def verify(quote: bytes, *, at: datetime = AT, roots: Roots = INTEL.roots) -> VerifiedQuote:
    return verify_quote(parse_quote(quote), at=at, roots=roots)


def certified(platform: FakeTdxPlatform, subject: Subject) -> tuple[bytes, ...]:
    issuer = platform.intel.platform_ca
    return (issuer.certify(subject), *issuer.chain)


def refusal(platform: FakeTdxPlatform, *, at: datetime = AT) -> str:
    with pytest.raises(NotGenuineError) as caught:
        verify(platform.quote(), at=at)
    return caught.value.check


@pytest.mark.parametrize("name", REAL)
def test_real_quotes_are_genuine(recorded: Callable[[str], bytes], name: str) -> None:
    verified = verify(recorded(name), at=datetime(2025, 7, 1, tzinfo=UTC), roots=VENDOR_ROOTS)
    fmspc = verified.platform.fmspc.hex()
    assert verified.vouchers == ("Intel SGX Root CA", "Intel SGX PCK Platform CA", f"PCK of FMSPC {fmspc}")


@pytest.mark.parametrize(
    "name, first, last",
    [
        ("dcap-qvl", "2025-02-06T23:25:51", "2032-02-06T23:25:51"),
        ("trustee-4-debug", "2023-02-07T08:02:55", "2030-02-07T08:02:55"),
        ("trustee-5", "2024-03-18T08:43:51", "2031-03-18T08:43:51"),
        ("azure", "2023-09-13T21:00:51", "2030-09-13T21:00:51"),
        ("sapphire-rapids", "2022-09-20T13:20:31", "2029-09-20T13:20:31"),
    ],
)
def test_real_quotes_are_genuine_while_their_certificates_are_valid(
    recorded: Callable[[str], bytes], name: str, first: str, last: str
) -> None:
    begin, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (first, last))
    for at in (begin, end):
        verify(recorded(name), at=at, roots=VENDOR_ROOTS)
    for at in (begin.replace(year=begin.year - 1), end.replace(year=end.year + 1)):
        with pytest.raises(NotGenuineError, match=r"tdx\.validity"):
            verify(recorded(name), at=at, roots=VENDOR_ROOTS)


@pytest.mark.parametrize("version", [4, 5])
def test_fake_quotes_are_genuine(platform: FakeTdxPlatform, version: int) -> None:
    platform.version = version
    verified = verify(platform.quote())
    assert verified.quote.report.mr_td == platform.mr_td
    assert verified.platform.ppid == platform.ppid


def test_a_platform_of_one_package(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.pck_issuer, platform.instance_id = intel.processor_ca, None
    assert verify(platform.quote()).vouchers[1] == "Intel SGX PCK Processor CA"


def test_a_fake_is_not_believed_by_default(platform: FakeTdxPlatform) -> None:
    with pytest.raises(NotGenuineError, match=r"tdx\.root") as caught:
        verify(platform.quote(), roots=VENDOR_ROOTS)
    assert "fake" in caught.value.hint


@pytest.mark.parametrize(
    "attribute, value, check",
    [
        ("vendor", bytes(16), "tdx.vendor"),
        ("qe_signature", bytes(63) + b"\x01", "tdx.qe_signature"),
        ("qe_signer", bytes(32), "tdx.qe_identity"),
        ("qe_product", 1, "tdx.qe_identity"),
        ("qe_attributes", bytes.fromhex("1700000000000000e700000000000000"), "tdx.qe_attributes"),
        ("qe_attributes", bytes.fromhex("0500000000000000e700000000000000"), "tdx.qe_attributes"),
        ("qe_misc_select", b"\x01\0\0\0", "tdx.qe_attributes"),
        ("qe_report_data", bytes(64), "tdx.qe_report_data"),
        ("signature", bytes(63) + b"\x01", "tdx.signature"),
    ],
)
def test_one_broken_property(platform: FakeTdxPlatform, attribute: str, value: object, check: str) -> None:
    setattr(platform, attribute, value)
    assert refusal(platform) == check


@pytest.mark.parametrize("count", [1, 2, 4])
def test_number_of_certificates(platform: FakeTdxPlatform, count: int) -> None:
    platform.certificates = (platform.pck_chain() * 2)[:count]
    assert refusal(platform) == "tdx.chain"


def test_a_key_on_another_curve(platform: FakeTdxPlatform) -> None:
    platform.pck, platform.qe_signature = ec.generate_private_key(ec.SECP384R1()), bytes(64)
    assert refusal(platform) == "tdx.chain"


def test_signatures_of_zeros(platform: FakeTdxPlatform) -> None:
    platform.signature = bytes(64)
    assert refusal(platform) == "tdx.signature"
    platform.qe_signature = bytes(64)
    assert refusal(platform) == "tdx.qe_signature"


def test_the_mode_of_the_enclave_does_not_matter(platform: FakeTdxPlatform) -> None:
    platform.qe_attributes = bytes.fromhex("11000000000000000300000000000000")
    verify(platform.quote())


def test_a_key_beside_a_genuine_enclave_report(platform: FakeTdxPlatform) -> None:
    genuine = parse_quote(platform.quote()).signature
    platform.qe_report_data = genuine.enclave.report_data
    platform.attestation_key = ec.generate_private_key(ec.SECP256R1())
    assert refusal(platform) == "tdx.qe_report_data"


def test_something_hidden_behind_the_bound_key(platform: FakeTdxPlatform) -> None:
    bound = parse_quote(platform.quote()).signature.enclave.report_data
    platform.qe_report_data = bound[:63] + b"\x01"
    assert refusal(platform) == "tdx.qe_report_data"


def test_other_authentication_data(platform: FakeTdxPlatform) -> None:
    platform.qe_report_data = parse_quote(platform.quote()).signature.enclave.report_data
    platform.qe_authentication_data = b"other"
    assert refusal(platform) == "tdx.qe_report_data"


def test_an_attestation_key_that_is_no_point(platform: FakeTdxPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attestation.testing.tdx.FakeTdxPlatform._attestation_point", lambda _self: bytes(64))
    assert refusal(platform) == "tdx.attestation_key"


def test_the_enclave_of_another_platform(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.certificates = intel.platform().pck_chain()
    assert refusal(platform) == "tdx.qe_signature"


def test_a_root_of_somebody_else(platform: FakeTdxPlatform) -> None:
    platform.intel = MALLORY
    assert refusal(platform) == "tdx.root"


def test_the_real_root_above_the_chain_of_somebody_else(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.intel = MALLORY
    platform.certificates = (*platform.pck_chain()[:2], intel.root.certificate)
    assert refusal(platform) == "tdx.chain"


def test_genuine_authorities_above_the_leaf_of_somebody_else(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.intel = MALLORY
    platform.certificates = (platform.pck_chain()[0], *intel.platform_ca.chain)
    assert refusal(platform) == "tdx.chain"


def test_a_root_that_did_not_sign_itself(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    root = replace(intel.root, parent=MALLORY.root)
    platform.certificates = (*platform.pck_chain()[:2], root.certificate)
    assert refusal(platform) == "tdx.chain"


def test_an_authority_that_is_none(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.pck_issuer = replace(intel.platform_ca, is_authority=False)
    assert refusal(platform) == "tdx.chain"


@pytest.mark.parametrize("is_authority, signs", [(True, False), (False, True)])
def test_half_an_authority(platform: FakeTdxPlatform, intel: FakeIntel, is_authority: bool, signs: bool) -> None:
    platform.pck_issuer = replace(intel.platform_ca, is_authority=is_authority, signs_certificates=signs)
    assert refusal(platform) == "tdx.chain"


@pytest.mark.parametrize("is_authority, signs", [(True, False), (False, True)])
def test_half_an_authority_as_leaf(platform: FakeTdxPlatform, is_authority: bool, signs: bool) -> None:
    subject = replace(platform.pck_subject(), is_authority=is_authority, signs_certificates=signs)
    platform.certificates = certified(platform, subject)
    assert refusal(platform) == "tdx.chain"


def test_a_critical_extension_that_nobody_knows(platform: FakeTdxPlatform) -> None:
    subject = replace(platform.pck_subject(), critical_extensions=[x509.InhibitAnyPolicy(0)])
    platform.certificates = certified(platform, subject)
    assert refusal(platform) == "tdx.chain"


def test_a_key_of_another_kind(platform: FakeTdxPlatform) -> None:
    subject = replace(platform.pck_subject(), key=ed25519.Ed25519PrivateKey.generate().public_key())
    platform.certificates = certified(platform, subject)
    assert refusal(platform) == "tdx.chain"


def test_a_certificate_that_names_another_algorithm(platform: FakeTdxPlatform) -> None:
    certificate, *rest = platform.pck_chain()
    signed, algorithm, signature = parse_der(certificate).children()
    other = algorithm.raw[:-1] + b"\x03"  # SHA-384
    platform.certificates = (der.sequence(signed.raw, other, signature.raw), *rest)
    with pytest.raises(MalformedError, match="two different signature algorithms"):
        verify(platform.quote())


def test_a_signature_that_is_not_a_number_of_bytes(platform: FakeTdxPlatform) -> None:
    certificate, *rest = platform.pck_chain()
    unused = len(certificate) - len(list(parse_der(certificate).children())[2].value)
    platform.certificates = (certificate[:unused] + b"\x01" + certificate[unused + 1 :], *rest)
    with pytest.raises(MalformedError, match="whole bytes"):
        verify(platform.quote())


def test_an_authority_for_other_things(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.pck_issuer = replace(intel.platform_ca, common_name="Intel SGX TCB CA")
    assert refusal(platform) == "tdx.chain"


def test_the_signer_of_collateral_issues_nothing(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.pck_issuer = intel.tcb_signer
    assert refusal(platform) == "tdx.chain"


def test_the_root_issues_no_pck(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.pck_issuer = intel.root
    platform.certificates = (platform.pck_chain()[0], intel.root.certificate, intel.root.certificate)
    assert refusal(platform) == "tdx.chain"


def test_an_authority_as_leaf(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    lower = replace(intel.platform_ca, parent=intel.platform_ca)
    platform.certificates = (lower.certificate, *intel.platform_ca.chain)
    assert refusal(platform) == "tdx.chain"


def test_a_leaf_that_is_no_pck(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    leaf = replace(intel.tcb_signer, parent=intel.platform_ca)
    platform.certificates = (leaf.certificate, *intel.platform_ca.chain)
    assert refusal(platform) == "tdx.chain"


def test_issuers_in_the_wrong_order(platform: FakeTdxPlatform) -> None:
    leaf, intermediate, root = platform.pck_chain()
    platform.certificates = (leaf, root, intermediate)
    assert refusal(platform) == "tdx.root"


@pytest.mark.parametrize("link", ["root", "platform_ca"])
@pytest.mark.parametrize("year", [2017, 2035])
def test_an_expired_authority(platform: FakeTdxPlatform, intel: FakeIntel, link: str, year: int) -> None:
    early, late = platform.pck_not_before.replace(year=2010), platform.pck_not_after.replace(year=2045)
    platform.pck_not_before, platform.pck_not_after = early, late
    root, authority = intel.root, intel.platform_ca
    if link == "root":
        authority = replace(authority, not_before=early, not_after=late)
    else:
        root = replace(root, not_before=early, not_after=late)
    platform.pck_issuer = replace(authority, parent=root)
    verify(platform.quote())
    assert refusal(platform, at=AT.replace(year=year)) == "tdx.validity"


def test_a_remembered_chain_expires(platform: FakeTdxPlatform) -> None:
    platform.certificates = platform.pck_chain()
    verify(platform.quote())
    assert refusal(platform, at=platform.pck_not_after.replace(year=2033)) == "tdx.validity"


def test_a_remembered_chain_is_not_believed_by_others(platform: FakeTdxPlatform) -> None:
    verify(platform.quote())
    with pytest.raises(NotGenuineError, match=r"tdx\.root"):
        verify(platform.quote(), roots=MALLORY.roots)


def test_a_proof_cannot_be_made_by_hand(platform: FakeTdxPlatform) -> None:
    verified = verify(platform.quote())
    with pytest.raises(TypeError, match="result of a verification"):
        VerifiedQuote(vouchers=("me",), seal=object(), quote=verified.quote, chain=verified.chain, revocation_lists=())
