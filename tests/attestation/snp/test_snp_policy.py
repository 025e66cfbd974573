# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A genuine report against every field of the policy, at its borders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from attestation import Evidence, Policy, Variant
from attestation.case import Case, Mark
from attestation.policy_fields import Revocation
from attestation.snp.product import Product
from attestation.snp.report import GuestPolicy, PlatformInfo, SigningKey
from attestation.snp.validator import examine_snp
from attestation.testing.snp import FakeAmd
from attestation.verdict import Findings

if TYPE_CHECKING:
    from attestation.testing.snp_machine import FakeMachine

AT = datetime(2026, 1, 1, tzinfo=UTC)
AMD = FakeAmd()
REPORT_DATA = bytes(range(64))


@pytest.fixture
def machine() -> FakeMachine:
    return AMD.machine(Product.GENOA)


def crl(
    *, age: timedelta = timedelta(days=1), product: Product = Product.GENOA, revoked: tuple[int, ...] = ()
) -> bytes:
    begin = AT - age
    return AMD.crl(product, this_update=begin, next_update=begin + timedelta(days=90), revoked=revoked)


def examined(machine: FakeMachine, *, report_data: bytes | None = REPORT_DATA, **fields: object) -> Findings:
    accepted: dict[str, Any] = {
        "launch_digests": (machine.measurement,),
        "minimum_tcb": machine.tcb,
        "revocation_lists": (crl(),),
        **fields,
    }
    policy = Policy(variant=Variant.QEMU_SNP, **accepted)
    evidence = Evidence(Variant.QEMU_SNP, snp=machine.evidence(REPORT_DATA))
    case = Case(evidence=evidence, policy=policy, binding=None, mark=Mark.ANY, at=AT, roots=AMD.roots)
    findings = Findings()
    examine_snp(case, findings, report_data=report_data)
    assert not findings.forgeries
    return findings


def refusals(machine: FakeMachine, **fields: object) -> list[str]:
    return [mismatch.name for mismatch in examined(machine, **cast("dict[str, Any]", fields)).mismatches]


def test_a_good_report_has_no_mismatch_and_no_warning(machine: FakeMachine) -> None:
    findings = examined(machine)
    assert findings.mismatches == []
    assert findings.warnings == []
    assert findings.tcb["launch"] == machine.tcb
    assert findings.measurements == {"launch_digest": machine.measurement}


def test_report_data_of_another_session(machine: FakeMachine) -> None:
    assert refusals(machine, report_data=bytes(64)) == ["binding"]


def test_debug(machine: FakeMachine) -> None:
    machine.debug = True
    assert refusals(machine) == ["allow_debug"]
    assert "debug is allowed" in examined(machine, allow_debug=True).warnings[0]


def test_smt(machine: FakeMachine) -> None:
    machine.policy |= GuestPolicy.SMT
    assert refusals(machine) == ["allow_smt"]
    assert "SMT is allowed" in examined(machine, allow_smt=True).warnings[0]


def test_a_migration_agent_is_always_refused(machine: FakeMachine) -> None:
    machine.policy |= GuestPolicy.MIGRATE_MA
    assert refusals(machine, allow_debug=True, allow_smt=True) == ["migration_agent"]


def test_unknown_policy_bits_are_refused(machine: FakeMachine) -> None:
    machine.policy |= 1 << 60
    assert refusals(machine) == ["allow_unknown_bits"]


def test_unknown_platform_bits_are_refused(machine: FakeMachine) -> None:
    machine.platform_info |= 1 << 9
    assert refusals(machine) == ["allow_unknown_bits"]


def test_unknown_bits_can_be_allowed_and_are_shown(machine: FakeMachine) -> None:
    machine.platform_info |= 1 << 9
    findings = examined(machine, allow_unknown_bits=True)
    assert findings.mismatches == []
    assert findings.warnings == ["unknown bits are allowed: platform_info bits 0x200"]


def test_a_policy_without_its_constant_bit_is_refused(machine: FakeMachine) -> None:
    machine.policy &= ~GuestPolicy.RESERVED_ONE
    assert refusals(machine) == ["report"]


def test_version_2(machine: FakeMachine) -> None:
    machine.version = 2
    assert refusals(machine) == ["allow_report_v2"]
    assert "only its certificate" in examined(machine, allow_report_v2=True).warnings[0]


@pytest.mark.parametrize("level", [1, 2, 3, 0xFFFFFFFF])
def test_vmpl(machine: FakeMachine, level: int) -> None:
    machine.vmpl = level
    assert refusals(machine) == ["vmpl"]
    if level <= 3:
        assert refusals(machine, vmpl=(0, level)) == []


@pytest.mark.parametrize("component", ["bootloader", "snp", "microcode"])
@pytest.mark.parametrize("which", ["tcb", "current_tcb", "committed_tcb"])
def test_one_below_the_minimum(machine: FakeMachine, component: str, which: str) -> None:
    minimum = dict(machine.tcb)
    setattr(machine, which, minimum | {component: minimum[component] - 1})
    if which == "tcb":
        machine.current_tcb = machine.committed_tcb = machine.launch_tcb = minimum
    assert refusals(machine, minimum_tcb=minimum) == [f"minimum_tcb.{component}"]


def test_the_minimum_itself_and_above_are_accepted(machine: FakeMachine) -> None:
    below = {component: max(version - 1, 0) for component, version in machine.tcb.items()}
    assert refusals(machine, minimum_tcb=below) == []
    assert refusals(machine, minimum_tcb=machine.tcb, minimum_launch_tcb=machine.tcb) == []


def test_launch_tcb(machine: FakeMachine) -> None:
    minimum = dict(machine.tcb)
    machine.launch_tcb = minimum | {"snp": minimum["snp"] - 1}
    assert refusals(machine, minimum_launch_tcb=minimum) == ["minimum_launch_tcb.snp"]


def test_a_component_that_the_product_lacks_counts_as_zero(machine: FakeMachine) -> None:
    assert refusals(machine, minimum_tcb=machine.tcb | {"fmc": 0}) == []
    assert "minimum_tcb.fmc" in refusals(machine, minimum_tcb=machine.tcb | {"fmc": 1})


def test_products(machine: FakeMachine) -> None:
    assert refusals(machine, products=("Milan", "Turin")) == ["products"]
    assert refusals(machine, products=("Genoa",)) == []


@pytest.mark.parametrize(
    "field, attribute, width",
    [
        ("launch_digests", "measurement", 48),
        ("id_key_digests", "id_key_digest", 48),
        ("launch_manifests", "host_data", 32),
    ],
)
def test_digests(machine: FakeMachine, field: str, attribute: str, width: int) -> None:
    assert refusals(machine, **{field: (b"\x01" * width,)}) == [field]
    assert refusals(machine, **{field: (b"\x01" * width, getattr(machine, attribute))}) == []


def test_author_key(machine: FakeMachine) -> None:
    machine.author_key_digest = b"\x07" * 48
    assert refusals(machine, author_key_digests=(b"\x07" * 48,)) == ["author_key_digests"]
    machine.author_key_enabled = True
    assert refusals(machine, author_key_digests=(b"\x07" * 48,)) == []
    assert refusals(machine, author_key_digests=(b"\x08" * 48,)) == ["author_key_digests"]


def test_chips(machine: FakeMachine) -> None:
    assert refusals(machine, chip_ids=(bytes(64),)) == ["chip_ids"]
    assert refusals(machine, chip_ids=(bytes(64), machine.chip_id)) == []


def test_a_turin_chip_may_be_written_short_or_long() -> None:
    machine = AMD.machine(Product.TURIN)
    lists = (crl(product=Product.TURIN),)
    assert refusals(machine, chip_ids=(machine.chip_id,), revocation_lists=lists) == []
    assert refusals(machine, chip_ids=(machine.chip_id.ljust(64, b"\0"),), revocation_lists=lists) == []


def test_a_masked_chip_under_a_vlek_is_not_on_any_list() -> None:
    machine = AMD.machine(Product.GENOA, signing_key=SigningKey.VLEK)
    assert refusals(machine, chip_ids=(machine.chip_id,)) == []
    machine.chip_id_masked = True
    assert refusals(machine, chip_ids=(bytes(64),)) == ["chip_ids"]


def test_platform_flags(machine: FakeMachine) -> None:
    machine.platform_info = PlatformInfo.SMT_ENABLED | PlatformInfo.ECC
    assert refusals(machine, platform_flags=("ecc",)) == []
    assert refusals(machine, platform_flags=("ecc", "alias_check")) == ["platform_flags"]
    assert refusals(machine, platform_flags=("smt_disabled",)) == ["platform_flags"]


def test_no_list_that_is_fresh(machine: FakeMachine) -> None:
    assert refusals(machine, revocation_lists=(crl(age=timedelta(days=31)),)) == ["crl"]
    assert refusals(machine, revocation_lists=(crl(age=timedelta(days=30)),)) == []
    assert refusals(machine, revocation_lists=(crl(age=timedelta(days=-1)),)) == ["crl"]
    assert refusals(machine, revocation_lists=(crl(product=Product.MILAN),)) == ["crl"]


def test_a_longer_age_can_be_allowed(machine: FakeMachine) -> None:
    old = (crl(age=timedelta(days=60)),)
    assert refusals(machine, revocation_lists=old, crl_max_age=timedelta(days=61)) == []
    assert refusals(machine, revocation_lists=old, crl_max_age=timedelta(hours=2)) == ["crl"]


def test_a_list_past_its_next_update_is_stale(machine: FakeMachine) -> None:
    ended = AMD.crl(Product.GENOA, this_update=AT - timedelta(days=2), next_update=AT - timedelta(days=1))
    assert refusals(machine, revocation_lists=(ended,)) == ["crl"]


def test_crl_off_warns(machine: FakeMachine) -> None:
    findings = examined(machine, revocation_lists=(), crl=Revocation.OFF)
    assert findings.mismatches == []
    assert "crl is off" in findings.warnings[0]


def forgeries(machine: FakeMachine, *lists: bytes) -> list[str]:
    policy = Policy(
        variant=Variant.QEMU_SNP,
        launch_digests=(machine.measurement,),
        minimum_tcb=machine.tcb,
        revocation_lists=lists,
    )
    evidence = Evidence(Variant.QEMU_SNP, snp=machine.evidence(REPORT_DATA))
    case = Case(evidence=evidence, policy=policy, binding=None, mark=Mark.ANY, at=AT, roots=AMD.roots)
    findings = Findings()
    examine_snp(case, findings, report_data=REPORT_DATA)
    return [forgery.name for forgery in findings.forgeries]


def test_a_revoked_signer_is_not_genuine(machine: FakeMachine) -> None:
    revoked = crl(revoked=(AMD.signer(Product.GENOA).serial,))
    assert forgeries(machine, revoked) == ["snp.revocation"]


def test_an_old_list_still_revokes(machine: FakeMachine) -> None:
    revoked = crl(age=timedelta(days=80), revoked=(AMD.signer(Product.GENOA).serial,))
    assert forgeries(machine, crl(), revoked) == ["snp.revocation"]


def test_a_list_signed_by_another_root_is_not_genuine(machine: FakeMachine) -> None:
    begin = AT - timedelta(days=1)
    forged = FakeAmd("mallory").crl(Product.GENOA, this_update=begin, next_update=begin + timedelta(days=90))
    assert forgeries(machine, forged) == ["snp.chain"]


def test_something_that_is_no_list(machine: FakeMachine) -> None:
    assert forgeries(machine, b"\x30\x00") == ["format"]


def test_a_changed_list_is_a_reason_or_no_list_at_all(machine: FakeMachine) -> None:
    good = crl()
    for position in range(240):
        changed = bytearray(good)
        changed[position] ^= 1 << position % 8
        refused = forgeries(machine, bytes(changed)) or refusals(machine, revocation_lists=(bytes(changed),))
        assert refused in (["snp.chain"], ["format"], ["crl"])


def test_an_unsigned_report_is_not_genuine(machine: FakeMachine) -> None:
    machine.signing_key = SigningKey.NONE
    assert forgeries(machine, crl()) == ["snp.signing_key"]


def test_every_mismatch_is_listed_at_once(machine: FakeMachine) -> None:
    machine.debug = True
    machine.vmpl = 3
    machine.policy |= GuestPolicy.SMT
    found = refusals(machine, launch_digests=(bytes(48),), products=("Milan",))
    assert found == ["allow_debug", "allow_smt", "vmpl", "products", "launch_digests"]
