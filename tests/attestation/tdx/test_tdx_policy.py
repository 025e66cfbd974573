# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A genuine quote against every field of the policy, at its borders."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from attestation import Evidence, Policy, Variant, judge
from attestation.case import Case, Mark
from attestation.policy_fields import Register, Revocation
from attestation.tdx.attributes import TdAttributes
from attestation.tdx.validator import examine_tdx
from attestation.testing.tdx import FakeIntel
from attestation.verdict import Findings, Verdict

if TYPE_CHECKING:
    from attestation.testing.tdx import FakeTdxPlatform

AT = datetime(2026, 1, 1, tzinfo=UTC)
INTEL = FakeIntel()
BINDING = bytes(range(32))
LISTS = INTEL.revocation_lists(this_update=AT - timedelta(days=1), next_update=AT + timedelta(days=29))
TCB = {"module": 6, "module_major": 1, "microcode": 3, "pce": 11, "qe": 6}
CLUSTER = b"cluster ID"
MARK = hashlib.sha384(bytes(48) + hashlib.sha384(CLUSTER).digest()).digest()


def registers(platform: FakeTdxPlatform) -> dict[str, Register]:
    values = {"mrtd": platform.mr_td} | {f"rtmr{index}": value for index, value in enumerate(platform.rtmrs)}
    return {name: Register(value, enforced=True) for name, value in values.items() if name != "rtmr3"}


def policy(platform: FakeTdxPlatform, **fields: object) -> Policy:
    accepted: dict[str, Any] = {
        "variant": Variant.QEMU_TDX,
        "measurements": registers(platform),
        "minimum_tcb": TCB,
        "revocation_lists": LISTS,
        **fields,
    }
    return Policy(**accepted)


def judged(
    platform: FakeTdxPlatform, accepted: Policy | None = None, *, bound: bool = True, mark: Mark | bytes = Mark.UNMARKED
) -> Verdict:
    accepted = accepted or policy(platform)
    evidence = Evidence(accepted.variant, tdx=platform.evidence(BINDING))
    verdict = judge(evidence, accepted, binding=BINDING if bound else None, at=AT, mark=mark, roots=INTEL.roots)
    assert verdict.genuine
    return verdict


def refusals(platform: FakeTdxPlatform, **fields: object) -> list[str]:
    return [mismatch.name for mismatch in judged(platform, policy(platform, **fields)).mismatches]


def set_attribute(platform: FakeTdxPlatform, bits: int) -> None:
    platform.td_attributes = (int.from_bytes(platform.td_attributes, "little") | bits).to_bytes(8, "little")


def test_a_good_quote_is_accepted(platform: FakeTdxPlatform) -> None:
    verdict = judged(platform).require()
    assert verdict.warnings == (
        "TCB status was not evaluated: no collateral",
        "the identity is that of the platform: guests on the same platform share it",
        "other keys than those of AMD and Intel were believed",
    )
    assert verdict.tcb == {"reported": TCB}
    assert list(verdict.measurements) == ["mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"]
    assert verdict.measurements["rtmr1"] == platform.rtmrs[1]


@pytest.mark.parametrize("variant", [Variant.QEMU_TDX, Variant.GCP_TDX])
@pytest.mark.parametrize("version", [4, 5])
def test_every_version_on_every_platform(platform: FakeTdxPlatform, variant: Variant, version: int) -> None:
    platform.version = version
    judged(platform, policy(platform, variant=variant)).require()


def test_the_identity_is_that_of_the_platform(platform: FakeTdxPlatform) -> None:
    found = judged(platform)
    assert (found.identity, found.identity_kind) == (hashlib.sha256(platform.ppid).digest(), "platform id")


def test_the_identity_without_provisioning_id(platform: FakeTdxPlatform) -> None:
    platform.ppid, platform.instance_id = bytes(16), b"instance".ljust(16)
    assert judged(platform).identity == hashlib.sha256(platform.instance_id).digest()


def test_a_platform_without_any_id(platform: FakeTdxPlatform) -> None:
    platform.ppid, platform.instance_id = bytes(16), None
    verdict = judged(platform)
    assert verdict.identity is None
    assert any("nothing identifies the node" in warning for warning in verdict.warnings)


def test_a_quote_for_somebody_else(platform: FakeTdxPlatform) -> None:
    evidence = Evidence(Variant.QEMU_TDX, tdx=platform.evidence(bytes(32)))
    verdict = judge(evidence, policy(platform), binding=BINDING, at=AT, roots=INTEL.roots)
    assert [mismatch.name for mismatch in verdict.mismatches] == ["binding"]


def test_recorded_evidence_is_bound_to_nothing(platform: FakeTdxPlatform) -> None:
    assert "freshness was not checked" in " ".join(judged(platform, bound=False).require().warnings)


@pytest.mark.parametrize("name", ["mrtd", "rtmr0", "rtmr1", "rtmr2"])
def test_an_enforced_register(platform: FakeTdxPlatform, name: str) -> None:
    measurements = registers(platform) | {name: Register(b"\x01" * 48, enforced=True)}
    assert refusals(platform, measurements=measurements) == [f"measurements.{name}"]


@pytest.mark.parametrize("name", ["mrtd", "rtmr0", "rtmr3"])
def test_a_register_that_is_not_enforced(platform: FakeTdxPlatform, name: str) -> None:
    measurements = registers(platform) | {name: Register(b"\x01" * 48, enforced=False)}
    verdict = judged(platform, policy(platform, measurements=measurements)).require()
    assert any(
        warning.startswith(f"measurements.{name}: ") and warning.endswith("not enforced")
        for warning in verdict.warnings
    )


def test_all_mismatches_at_once(platform: FakeTdxPlatform) -> None:
    platform.debug = True
    wrong = {name: Register(b"\x01" * 48, enforced=True) for name in registers(platform)}
    expected = [*(f"measurements.{name}" for name in wrong), "allow_debug", "xfams", "chip_ids", "minimum_tcb.qe"]
    assert refusals(platform, measurements=wrong, xfams=(bytes(8),), chip_ids=(bytes(16),), minimum_tcb={"qe": 7}) == [
        *expected
    ]


@pytest.mark.parametrize(
    "value, mark, expected",
    [
        (bytes(48), Mark.UNMARKED, []),
        (bytes(48), CLUSTER, ["mark"]),
        (bytes(48), Mark.ANY, []),
        (MARK, Mark.UNMARKED, ["mark"]),
        (MARK, CLUSTER, []),
        (MARK, b"another cluster", ["mark"]),
        (MARK, Mark.ANY, []),
    ],
)
def test_the_mark(platform: FakeTdxPlatform, value: bytes, mark: Mark | bytes, expected: list[str]) -> None:
    platform.rtmrs[3] = value
    assert [mismatch.name for mismatch in judged(platform, mark=mark).mismatches] == expected


def test_debug(platform: FakeTdxPlatform) -> None:
    platform.debug = True
    assert refusals(platform) == ["allow_debug"]
    assert (
        "debug is allowed: the host may read the TD's memory"
        in judged(platform, policy(platform, allow_debug=True)).warnings
    )


@pytest.mark.parametrize("bit", range(1, 8))
def test_other_ways_to_look_into_a_td(platform: FakeTdxPlatform, bit: int) -> None:
    set_attribute(platform, 1 << bit)
    assert "td_attributes.tud" in refusals(platform)
    assert "td_attributes.tud" in refusals(platform, allow_debug=True, td_attributes=(platform.td_attributes,))


def test_a_td_that_may_migrate(platform: FakeTdxPlatform) -> None:
    set_attribute(platform, TdAttributes.MIGRATABLE)
    assert refusals(platform) == ["migration_agent"]
    assert refusals(platform, td_attributes=(platform.td_attributes,)) == ["migration_agent"]


def test_a_td_with_a_migration_agent(platform: FakeTdxPlatform) -> None:
    platform.version, platform.mr_service_td = 5, bytes(47) + b"\x01"
    assert refusals(platform) == ["migration_agent"]


@pytest.mark.parametrize("bit", [8, 32, 61])
def test_attributes_that_nobody_knows(platform: FakeTdxPlatform, bit: int) -> None:
    set_attribute(platform, 1 << bit)
    assert refusals(platform) == ["td_attributes"]
    assert f"bits {bit}" in str(judged(platform).mismatches[0])
    assert refusals(platform, td_attributes=(platform.td_attributes,)) == []


def test_cpu_features_that_nobody_knows(platform: FakeTdxPlatform) -> None:
    platform.xfam = bytes(7) + b"\x80"
    assert refusals(platform) == ["xfams"]
    assert refusals(platform, xfams=(platform.xfam,)) == []


@pytest.mark.parametrize("name, width", [("mr_signer_seam", 48), ("seam_attributes", 8)])
def test_a_tdx_module_that_is_not_intels(platform: FakeTdxPlatform, name: str, width: int) -> None:
    setattr(platform, name, bytes(width - 1) + b"\x01")
    assert refusals(platform) == [name]


@pytest.mark.parametrize(
    "field, attribute, width",
    [
        ("mr_seams", "mr_seam", 48),
        ("td_attributes", "td_attributes", 8),
        ("xfams", "xfam", 8),
        ("launch_manifests", "mr_config_id", 48),
        ("chip_ids", "ppid", 16),
    ],
)
def test_lists(platform: FakeTdxPlatform, field: str, attribute: str, width: int) -> None:
    other = b"\x01" * width
    assert refusals(platform, **{field: (other, getattr(platform, attribute))}) == []
    assert refusals(platform, **{field: (other,)}) == [field]


@pytest.mark.parametrize("component", list(TCB))
def test_minimum_tcb(platform: FakeTdxPlatform, component: str) -> None:
    assert refusals(platform, minimum_tcb={component: TCB[component]}) == []
    assert refusals(platform, minimum_tcb={component: TCB[component] + 1}) == [f"minimum_tcb.{component}"]


@pytest.mark.parametrize("component, place", [("module", 0), ("module_major", 1), ("microcode", 2)])
def test_the_older_side_of_an_update_counts(platform: FakeTdxPlatform, component: str, place: int) -> None:
    older = bytearray(platform.tee_tcb_svn)
    older[place] -= 1
    platform.version = 5
    platform.tee_tcb_svn_2 = bytes(older)
    assert refusals(platform) == [f"minimum_tcb.{component}"]
    platform.tee_tcb_svn, platform.tee_tcb_svn_2 = bytes(older), platform.tee_tcb_svn
    assert refusals(platform) == [f"minimum_tcb.{component}"]


def test_two_threads_in_a_core_are_shown(platform: FakeTdxPlatform) -> None:
    platform.smt_enabled = True
    assert "SMT is enabled on the platform" in " ".join(judged(platform).require().warnings)


@pytest.mark.parametrize("trailing, shown", [(bytes(70), False), (b"unsigned", True)])
def test_bytes_that_nobody_signed_are_shown(platform: FakeTdxPlatform, trailing: bytes, shown: bool) -> None:
    platform.trailing = trailing
    assert ("bytes that nobody signed" in " ".join(judged(platform).require().warnings)) is shown


def test_statuses_mean_nothing_without_collateral(platform: FakeTdxPlatform) -> None:
    assert refusals(platform, tcb_statuses=("OutOfDate",)) == ["tcb_statuses"]


def test_beside_a_tpm_registers_mark_and_identity_are_the_tpms(platform: FakeTdxPlatform) -> None:
    platform.rtmrs[3] = MARK
    measurements = {"4": Register(bytes(32), enforced=True)}
    accepted = policy(platform, variant=Variant.AZURE_TDX, measurements=measurements, launch_digests=(platform.mr_td,))
    evidence = Evidence(Variant.AZURE_TDX, tdx=platform.evidence(BINDING))
    case = Case(evidence=evidence, policy=accepted, binding=None, mark=Mark.UNMARKED, at=AT, roots=INTEL.roots)
    findings = Findings()
    assert examine_tdx(case, findings, report_data=BINDING.ljust(64, b"\0")) is not None
    assert findings.mismatches == []
    assert findings.identity is None


def test_no_quote_is_not_genuine(platform: FakeTdxPlatform) -> None:
    case = Case(
        evidence=Evidence(Variant.QEMU_TDX),
        policy=policy(platform),
        binding=None,
        mark=Mark.ANY,
        at=AT,
        roots=INTEL.roots,
    )
    findings = Findings()
    assert examine_tdx(case, findings, report_data=None) is None
    assert [reason.name for reason in findings.forgeries] == ["evidence.parts"]


def test_a_forged_quote_is_judged_by_nothing_else(platform: FakeTdxPlatform) -> None:
    platform.signature, platform.debug = bytes(64), True
    evidence = Evidence(Variant.QEMU_TDX, tdx=platform.evidence())
    verdict = judge(evidence, policy(platform), binding=None, at=AT, roots=INTEL.roots)
    assert [reason.name for reason in verdict.mismatches] == ["tdx.signature"]
    assert not verdict.genuine
    assert verdict.measurements == {}


def test_lists_may_be_off(platform: FakeTdxPlatform) -> None:
    verdict = judged(platform, policy(platform, crl=Revocation.OFF, revocation_lists=())).require()
    assert "crl is off: a revoked platform would be accepted" in verdict.warnings
