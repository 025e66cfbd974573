# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Revoked platforms and authorities are refused; so is what nobody can say about whether it is revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from attestation import Evidence, Policy, Variant, judge
from attestation.der import Tag, parse_der
from attestation.errors import AttestationError, MalformedError, NotGenuineError
from attestation.policy_fields import Register, Revocation
from attestation.roots import VENDOR_ROOTS
from attestation.tdx.chain import verify_chain
from attestation.tdx.quote import parse_quote
from attestation.tdx.revocation import check_revocation
from attestation.tdx.verify import verify_quote
from attestation.testing import der
from attestation.testing.tdx import FakeIntel

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.testing.tdx import FakeTdxPlatform
    from attestation.verdict import Verdict

AT = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
INTEL = FakeIntel()
MALLORY = FakeIntel("mallory")
LISTS = INTEL.revocation_lists(this_update=AT - DAY, next_update=AT + 29 * DAY)
CHAIN = verify_chain(INTEL.platform().pck_chain(), INTEL.roots.intel)


def judged(platform: FakeTdxPlatform, *lists: bytes, crl: Revocation = Revocation.REQUIRED, days: int = 30) -> Verdict:
    policy = Policy(
        variant=Variant.QEMU_TDX,
        measurements={"mrtd": Register(platform.mr_td, enforced=True)},
        minimum_tcb={"qe": 1},
        crl=crl,
        crl_max_age=timedelta(days=days),
        revocation_lists=lists,
    )
    evidence = Evidence(Variant.QEMU_TDX, tdx=platform.evidence())
    return judge(evidence, policy, binding=None, at=AT, roots=INTEL.roots)


def refusals(platform: FakeTdxPlatform, *lists: bytes, days: int = 30) -> list[str]:
    return [mismatch.name for mismatch in judged(platform, *lists, days=days).mismatches]


def root_list(begin: datetime = AT - DAY, end: datetime = AT + DAY) -> bytes:
    return INTEL.root.revoke(this_update=begin, next_update=end)


def test_fresh_lists_of_both_issuers(platform: FakeTdxPlatform) -> None:
    judged(platform, *LISTS).require()


@pytest.mark.parametrize("given_list, missing", [(0, "Intel SGX PCK Platform CA"), (1, "Intel SGX Root CA")])
def test_one_list_is_not_enough(platform: FakeTdxPlatform, given_list: int, missing: str) -> None:
    (mismatch,) = judged(platform, LISTS[given_list]).mismatches
    assert mismatch.name == "crl"
    assert missing in mismatch.expected
    assert mismatch.got == "none"


def test_the_list_of_the_other_authority_is_none_of_ours(platform: FakeTdxPlatform) -> None:
    other = INTEL.processor_ca.revoke([platform.pck_serial], this_update=AT - DAY, next_update=AT + DAY)
    assert refusals(platform, LISTS[0], other) == ["crl"]
    judged(platform, *LISTS, other).require()


def test_a_platform_of_one_package(platform: FakeTdxPlatform) -> None:
    platform.pck_issuer = INTEL.processor_ca
    assert refusals(platform, *LISTS) == ["crl"]
    judged(platform, LISTS[0], INTEL.processor_ca.revoke(this_update=AT - DAY, next_update=AT + DAY)).require()


@pytest.mark.parametrize(
    "begin, end, accepted",
    [
        (AT, AT, True),
        (AT - 30 * DAY, AT + DAY, True),
        (AT - 30 * DAY - timedelta(seconds=1), AT + DAY, False),
        (AT - 2 * DAY, AT - timedelta(seconds=1), False),
        (AT + timedelta(seconds=1), AT + DAY, False),
    ],
    ids=["just made", "oldest", "too old", "overdue", "of the future"],
)
def test_age_of_a_list(platform: FakeTdxPlatform, begin: datetime, end: datetime, accepted: bool) -> None:
    assert refusals(platform, root_list(begin, end), LISTS[1]) == ([] if accepted else ["crl"])


def test_a_shorter_age(platform: FakeTdxPlatform) -> None:
    assert refusals(platform, root_list(AT - 2 * DAY), LISTS[1], days=1) == ["crl"]


def test_a_fresh_list_beside_an_old_one(platform: FakeTdxPlatform) -> None:
    judged(platform, root_list(AT - 90 * DAY, AT - 60 * DAY), *LISTS).require()


@pytest.mark.parametrize("age", [1, 300])
def test_a_revoked_platform(platform: FakeTdxPlatform, age: int) -> None:
    begin = AT - age * DAY
    revoking = INTEL.platform_ca.revoke([platform.pck_serial], this_update=begin, next_update=begin + 30 * DAY)
    verdict = judged(platform, *LISTS, revoking)
    assert [reason.name for reason in verdict.mismatches] == ["tdx.revocation"]
    assert not verdict.genuine


def test_a_revoked_authority(platform: FakeTdxPlatform) -> None:
    revoking = INTEL.root.revoke([INTEL.platform_ca.serial], this_update=AT - DAY, next_update=AT + DAY)
    assert refusals(platform, revoking, LISTS[1]) == ["tdx.revocation"]


def test_revocation_counts_where_lists_are_not_required(platform: FakeTdxPlatform) -> None:
    revoking = INTEL.platform_ca.revoke([platform.pck_serial], this_update=AT - DAY, next_update=AT + DAY)
    assert not judged(platform, revoking, crl=Revocation.OFF).accepted


def test_old_lists_that_are_not_required_give_one(platform: FakeTdxPlatform) -> None:
    verdict = judged(platform, root_list(AT - 90 * DAY), crl=Revocation.OFF).require()
    assert "crl is off: a revoked platform would be accepted" in verdict.warnings


def test_fresh_lists_that_are_not_required_give_no_warning(platform: FakeTdxPlatform) -> None:
    assert not any("crl" in warning for warning in judged(platform, *LISTS, crl=Revocation.OFF).require().warnings)


def test_serial_numbers_of_others_do_not_matter(platform: FakeTdxPlatform) -> None:
    revoking = INTEL.platform_ca.revoke([platform.pck_serial + 1], this_update=AT - DAY, next_update=AT + DAY)
    judged(platform, LISTS[0], revoking).require()


def test_a_list_signed_by_somebody_else(platform: FakeTdxPlatform) -> None:
    forged = MALLORY.platform_ca.revoke(this_update=AT - DAY, next_update=AT + DAY)
    assert refusals(platform, LISTS[0], forged) == ["tdx.crl"]


def test_something_that_is_no_list(platform: FakeTdxPlatform) -> None:
    assert refusals(platform, b"no list") == ["format"]


def test_a_list_about_some_certificates_only() -> None:
    builder = x509.CertificateRevocationListBuilder().last_update(AT).next_update(AT + DAY)
    builder = builder.issuer_name(CHAIN.root.certificate.subject)
    builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
    partial = builder.sign(INTEL.root.key, hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(MalformedError, match="critical extensions"):
        check_revocation(CHAIN, [partial])


def test_a_list_that_never_grows_old() -> None:
    signed, algorithm, _ = parse_der(root_list()).children()
    fields = [field.raw for field in signed.children()]
    begin, end = (index for index, field in enumerate(signed.children()) if field.tag == Tag.UTC_TIME)
    assert end == begin + 1
    del fields[end]
    endless = der.sequence(*fields)
    signature = INTEL.root.key.sign(endless, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(MalformedError, match="when the next one is due"):
        check_revocation(CHAIN, [der.sequence(endless, algorithm.raw, der.bits(signature))])


def test_a_signature_that_is_not_a_number_of_bytes() -> None:
    signed, algorithm, signature = parse_der(LISTS[0]).children()
    with pytest.raises(MalformedError, match="whole bytes"):
        check_revocation(CHAIN, [der.sequence(signed.raw, algorithm.raw, der.bits(signature.bits(), unused=1))])


@pytest.mark.parametrize(
    "at, fresh",
    [
        (datetime(2023, 6, 15, tzinfo=UTC), ["Intel SGX Root CA", "Intel SGX PCK Platform CA"]),
        (datetime(2023, 8, 15, tzinfo=UTC), ["Intel SGX Root CA"]),
        (datetime(2025, 7, 1, tzinfo=UTC), []),
    ],
)
def test_real_lists(recorded: Callable[[str], bytes], at: datetime, fresh: list[str]) -> None:
    quote, lists = parse_quote(recorded("sapphire-rapids")), (recorded("root-crl"), recorded("platform-crl"))
    verified = verify_quote(quote, at=at, roots=VENDOR_ROOTS, revocation_lists=lists)
    assert [entry.issuer for entry in verified.revocation_lists if entry.is_fresh(at, 365 * DAY)] == fresh


def test_every_flip_in_a_list() -> None:
    for offset in range(len(LISTS[1])):
        changed = LISTS[1][:offset] + bytes([LISTS[1][offset] ^ 1]) + LISTS[1][offset + 1 :]
        try:
            found = check_revocation(CHAIN, [changed])
        except (MalformedError, NotGenuineError):
            continue
        assert found == (), offset  # another issuer's


@given(st.integers(0, 2**10), st.binary(min_size=1, max_size=4))
def test_any_damage_of_a_list_gives_one_of_our_errors(place: int, value: bytes) -> None:
    offset = place % len(LISTS[0])
    changed = LISTS[0][:offset] + value + LISTS[0][offset + len(value) :]
    try:
        found = check_revocation(CHAIN, [changed])
    except AttestationError:
        return
    assert found == () or changed == LISTS[0]
