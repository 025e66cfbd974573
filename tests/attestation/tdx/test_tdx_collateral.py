# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Intel's word about a platform, real and fake: the right one is chosen, must hold now, and decides by its status."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import Evidence, Policy, TdxEvidence, Variant, judge
from attestation.errors import MalformedError, MissingExtraError
from attestation.policy_fields import Register, TcbStatus
from attestation.tdx.collateral import MAX_SIZE, parse_collateral
from attestation.tdx.quote import parse_quote
from attestation.testing.tdx import FakeIntel
from attestation.testing.tdx_collateral import FakeCollateral

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.testing.tdx import FakeTdxPlatform
    from attestation.verdict import Verdict

pytest.importorskip("dcap_qvl", reason="collateral needs the extra [tdx]")

AT = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
INTEL = FakeIntel()


@pytest.fixture
def collateral(platform: FakeTdxPlatform) -> FakeCollateral:
    return FakeCollateral(platform, issued=AT - DAY, next_update=AT + 29 * DAY)


def judged(platform: FakeTdxPlatform, *collateral: bytes, at: datetime = AT, **fields: object) -> Verdict:
    accepted: dict[str, Any] = {"minimum_tcb": {"qe": 1}, **fields}
    measurements = {"mrtd": Register(platform.mr_td, enforced=True)}
    policy = Policy(variant=Variant.QEMU_TDX, measurements=measurements, collateral=collateral, **accepted)
    evidence = Evidence(Variant.QEMU_TDX, tdx=platform.evidence())
    return judge(evidence, policy, binding=None, at=at, roots=INTEL.roots)


def refusals(platform: FakeTdxPlatform, *collateral: bytes, at: datetime = AT) -> list[str]:
    return [mismatch.name for mismatch in judged(platform, *collateral, at=at).mismatches]


@pytest.mark.parametrize("version", [4, 5])
def test_a_platform_that_is_up_to_date(platform: FakeTdxPlatform, collateral: FakeCollateral, version: int) -> None:
    platform.version = version
    verdict = judged(platform, collateral.to_json()).require()
    assert not any("TCB" in warning or "crl" in warning for warning in verdict.warnings)


@pytest.mark.parametrize("status", [status for status in TcbStatus if status is not TcbStatus.UP_TO_DATE])
def test_other_statuses(platform: FakeTdxPlatform, collateral: FakeCollateral, status: TcbStatus) -> None:
    collateral.status = status
    assert refusals(platform, collateral.to_json()) == ["tcb_statuses"]
    verdict = judged(platform, collateral.to_json(), tcb_statuses=(status.value,)).require()
    assert f"TCB status {status} is accepted" in verdict.warnings


def test_a_quoting_enclave_out_of_date(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    collateral.qe_status = "OutOfDate"
    assert refusals(platform, collateral.to_json()) == ["tcb_statuses"]


def test_advisories_are_shown(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    collateral.status, collateral.advisory_ids = "SWHardeningNeeded", ("INTEL-SA-00615",)
    verdict = judged(platform, collateral.to_json(), tcb_statuses=("SWHardeningNeeded",)).require()
    assert "Intel advisories about this platform: INTEL-SA-00615" in verdict.warnings


def test_a_revoked_state_is_never_acceptable(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    collateral.status = "Revoked"
    (mismatch,) = judged(platform, collateral.to_json()).mismatches
    assert mismatch.name == "collateral"
    assert "Revoked" in mismatch.got


def test_a_platform_below_every_level(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    data = collateral.to_json()
    platform.pce_svn -= 1
    assert refusals(platform, data) == ["collateral"]


def test_collateral_signed_by_somebody_else(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    collateral.signer = FakeIntel("mallory").tcb_signer
    assert refusals(platform, collateral.to_json()) == ["collateral"]


def test_changed_collateral(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    changed = collateral.to_json().replace(b'\\"UpToDate\\"', b'\\"OutOfDate\\"')
    assert refusals(platform, changed) == ["collateral"]


def test_its_lists_count(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    collateral.revoked = (platform.pck_serial,)
    verdict = judged(platform, collateral.to_json())
    assert [mismatch.name for mismatch in verdict.mismatches] == ["tdx.revocation"]


def test_its_lists_grow_old(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    verdict = judged(platform, collateral.to_json(), crl_max_age=timedelta(hours=23))
    assert [mismatch.name for mismatch in verdict.mismatches] == ["crl", "crl"]


@pytest.mark.parametrize("days", [-2, 30])
def test_collateral_of_another_time(platform: FakeTdxPlatform, collateral: FakeCollateral, days: int) -> None:
    assert refusals(platform, collateral.to_json(), at=AT + days * DAY) == ["crl", "crl", "collateral"]


def test_the_entry_of_the_platform_is_chosen(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    other = INTEL.platform()
    other.fmspc = bytes(6)
    entries = (FakeCollateral(other, collateral.issued, collateral.next_update).to_json(), collateral.to_json())
    judged(platform, *entries).require()
    (mismatch,) = judged(platform, entries[0]).mismatches
    assert (mismatch.name, mismatch.got) == ("collateral", "000000000000")
    assert platform.fmspc.hex() in mismatch.expected


def test_an_entry_that_holds_beside_one_that_does_not(platform: FakeTdxPlatform, collateral: FakeCollateral) -> None:
    old = FakeCollateral(platform, AT - 90 * DAY, AT - 60 * DAY).to_json()
    judged(platform, old, collateral.to_json()).require()


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b"[" * 100000, b'{"tcb_info": 1}', b"x" * (MAX_SIZE + 1)])
def test_something_that_is_no_collateral(platform: FakeTdxPlatform, data: bytes) -> None:
    with pytest.raises(MalformedError, match="collateral"):
        parse_collateral(data)
    assert refusals(platform, data) == ["collateral", "crl", "crl", "collateral"]


def test_collateral_that_is_too_large(collateral: FakeCollateral) -> None:
    data = collateral.to_json()
    assert parse_collateral(data.ljust(MAX_SIZE)).fmspc == collateral.platform.fmspc
    with pytest.raises(MalformedError, match=f"{MAX_SIZE + 1} bytes"):
        parse_collateral(data.ljust(MAX_SIZE + 1))


@given(st.none() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2))
def test_any_json_is_malformed_or_read(inner: object) -> None:
    for record in (inner, {"root_ca_crl": inner}, {"root_ca_crl": "", "pck_crl": "00", "tcb_info": inner}):
        with pytest.raises(MalformedError):
            parse_collateral(json.dumps(record).encode())


def test_without_the_extra(
    platform: FakeTdxPlatform, collateral: FakeCollateral, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dcap_qvl", None)
    with pytest.raises(MissingExtraError, match="dcap-qvl") as caught:
        judged(platform, collateral.to_json())
    assert "constellation-kubernetes[tdx]" in caught.value.hint


@pytest.mark.parametrize(
    "at, expected",
    [
        (datetime(2025, 6, 20, tzinfo=UTC), []),
        (datetime(2025, 7, 18, tzinfo=UTC), []),
        (datetime(2025, 7, 20, tzinfo=UTC), ["crl", "collateral"]),
        (datetime(2025, 6, 1, tzinfo=UTC), ["crl", "collateral"]),
        (datetime(2033, 1, 1, tzinfo=UTC), ["tdx.validity"]),
    ],
    ids=["fresh", "last day", "overdue", "too early", "years later"],
)
def test_a_real_quote_with_its_real_collateral(
    recorded: Callable[[str], bytes], at: datetime, expected: list[str]
) -> None:
    data = recorded("dcap-qvl")
    registers = parse_quote(data).report.registers
    policy = Policy(
        variant=Variant.GCP_TDX,
        measurements={name: Register(value, enforced=True) for name, value in registers.items()},
        minimum_tcb={"module": 6, "module_major": 1, "microcode": 3, "pce": 11, "qe": 6},
        collateral=(recorded("dcap-qvl-collateral"),),
        crl_max_age=timedelta(days=400),
    )
    verdict = judge(Evidence(Variant.GCP_TDX, tdx=TdxEvidence(data)), policy, binding=None, at=at)
    assert [mismatch.name for mismatch in verdict.mismatches] == expected
