# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A boot log beside a TD quote: it must explain the registers, and be there where the policy says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from attestation import Evidence, Policy, Variant, judge
from attestation.case import Mark
from attestation.policy_fields import Register, Revocation
from attestation.testing.boot_log import BootLog
from attestation.testing.tdx import FakeIntel
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.ccel import replay_rtmrs
from attestation.tpm.event_log import parse_event_log
from attestation.tpm.event_types import EventType

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.testing.tdx import FakeTdxPlatform

AT = datetime(2026, 1, 1, tzinfo=UTC)


def boot(platform: FakeTdxPlatform, algorithm: HashAlgorithm = HashAlgorithm.SHA384) -> bytes:
    log = BootLog(algorithm)
    for register in (1, 2, 3):
        log.measure(register, EventType.EV_EFI_HANDOFF_TABLES2, f"RTMR {register - 1}".encode())
    if algorithm is HashAlgorithm.SHA384:
        platform.rtmrs[:3] = [log.registers[register] for register in (1, 2, 3)]
    return log.to_bytes()


def refusals(platform: FakeTdxPlatform, log: bytes | None, *, require: bool = False) -> list[str]:
    policy = Policy(
        variant=Variant.QEMU_TDX,
        measurements={"mrtd": Register(platform.mr_td, enforced=True)},
        minimum_tcb={"qe": 1},
        crl=Revocation.OFF,
        require_event_log=require,
    )
    parts = {} if log is None else {"ccel": log}
    evidence = Evidence(Variant.QEMU_TDX, tdx=platform.evidence(), platform=parts)
    verdict = judge(evidence, policy, binding=None, at=AT, mark=Mark.ANY, roots=FakeIntel().roots)
    return [mismatch.name for mismatch in verdict.mismatches]


def test_a_log_that_explains_the_registers(platform: FakeTdxPlatform) -> None:
    assert refusals(platform, boot(platform), require=True) == []


def test_a_log_is_not_needed(platform: FakeTdxPlatform) -> None:
    assert refusals(platform, None) == []


def test_a_log_is_required(platform: FakeTdxPlatform) -> None:
    assert refusals(platform, None, require=True) == ["require_event_log"]


@pytest.mark.parametrize("register", range(3))
def test_a_log_of_another_boot(platform: FakeTdxPlatform, register: int) -> None:
    log = boot(platform)
    platform.rtmrs[register] = b"\x01" * 48
    assert refusals(platform, log) == ["event_log"]


def test_the_mark_is_not_in_the_log(platform: FakeTdxPlatform) -> None:
    log = boot(platform)
    platform.rtmrs[3] = b"\x01" * 48
    assert refusals(platform, log) == []


@pytest.mark.parametrize("log", [b"", b"garbage", bytes(100)])
def test_something_that_is_no_log(platform: FakeTdxPlatform, log: bytes) -> None:
    assert refusals(platform, log) == ["event_log"]


def test_a_log_of_another_bank(platform: FakeTdxPlatform) -> None:
    assert refusals(platform, boot(platform, HashAlgorithm.SHA256)) == ["event_log"]


def test_a_real_log(recorded: Callable[[str], bytes], platform: FakeTdxPlatform) -> None:
    log = recorded("ccel")
    assert refusals(platform, log) == ["event_log"]
    platform.rtmrs = list(replay_rtmrs(parse_event_log(log)).values())
    assert refusals(platform, log, require=True) == []
