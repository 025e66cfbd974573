# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real quotes get the right answer of the whole verifier: each is genuine, and what is wrong with some is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from attestation import Evidence, Policy, TdxEvidence, Variant, judge
from attestation.case import Mark
from attestation.policy_fields import Register, Revocation
from attestation.tdx.quote import parse_quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.verdict import Verdict

AT = datetime(2025, 7, 1, tzinfo=UTC)


def judged(data: bytes, **minimum_tcb: int) -> Verdict:
    registers = parse_quote(data).report.registers
    policy = Policy(
        variant=Variant.QEMU_TDX,
        measurements={name: Register(value, enforced=True) for name, value in registers.items()},
        minimum_tcb=minimum_tcb or {"module": 1},
        crl=Revocation.OFF,
    )
    return judge(Evidence(Variant.QEMU_TDX, tdx=TdxEvidence(data)), policy, binding=None, at=AT, mark=Mark.UNMARKED)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("dcap-qvl", []),
        ("azure", []),
        ("sapphire-rapids", []),
        ("trustee-4-debug", ["allow_debug"]),
        ("trustee-5", ["migration_agent"]),
    ],
)
def test_right_answers(recorded: Callable[[str], bytes], name: str, expected: list[str]) -> None:
    verdict = judged(recorded(name))
    assert verdict.genuine
    assert [mismatch.name for mismatch in verdict.mismatches] == expected


def test_what_follows_a_quote_in_its_buffer_is_shown(recorded: Callable[[str], bytes]) -> None:
    assert any("39 bytes that nobody signed" in warning for warning in judged(recorded("sapphire-rapids")).warnings)


@pytest.mark.parametrize(
    "name, tcb",
    [
        ("dcap-qvl", {"module": 6, "module_major": 1, "microcode": 3, "pce": 11, "qe": 6}),
        ("trustee-5", {"module": 5, "module_major": 1, "microcode": 2, "pce": 13, "qe": 6}),
        ("azure", {"module": 2, "module_major": 1, "microcode": 6, "pce": 11, "qe": 5}),
    ],
)
def test_security_versions(recorded: Callable[[str], bytes], name: str, tcb: dict[str, int]) -> None:
    data = recorded(name)
    assert judged(data).tcb == {"reported": tcb}
    for component, version in tcb.items():
        assert f"minimum_tcb.{component}" not in [reason.name for reason in judged(data, **tcb).mismatches]
        higher = judged(data, **{component: version + 1})
        assert f"minimum_tcb.{component}" in [reason.name for reason in higher.mismatches]


def test_an_sgx_quote_is_refused_by_name(recorded: Callable[[str], bytes]) -> None:
    policy = Policy(
        variant=Variant.QEMU_TDX,
        measurements={"mrtd": Register(bytes(48), enforced=True)},
        minimum_tcb={"qe": 1},
        crl=Revocation.OFF,
    )
    verdict = judge(Evidence(Variant.QEMU_TDX, tdx=TdxEvidence(recorded("sgx"))), policy, binding=None, at=AT)
    assert "SGX quote, not TDX" in verdict.mismatches[0].got
    assert not verdict.genuine
