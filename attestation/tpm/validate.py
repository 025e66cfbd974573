# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Is a genuine quote acceptable? Every field of the policy that speaks about TPMs, all mismatches at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attestation.errors import MalformedError
from attestation.tpm.event_log import parse_event_log
from attestation.tpm.replay import replay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attestation.case import Case
    from attestation.policy_fields import Register
    from attestation.tpm.verify import VerifiedQuote
    from attestation.verdict import Findings

NOT_QUOTED = "not quoted"


def validate_quote(
    verified: VerifiedQuote,
    case: Case,
    findings: Findings,
    *,
    measurements: Mapping[str, Register],
) -> None:
    """Compare a genuine quote with the policy.

    Args:
        verified: the quote, its registers and its key.
        case: the question: policy, cluster mark, boot log.
        findings: where mismatches and warnings go.
        measurements: expected registers; the policy's, unless the platform judged some of them elsewhere.
    """
    validate_registers(verified.pcrs, measurements, findings)
    _check_mark(verified, case, findings)
    _check_key(verified, case, findings)
    _check_event_log(verified, case, findings)


def validate_registers(registers: Mapping[int, bytes], expected: Mapping[str, Register], findings: Findings) -> None:
    """Compare registers with what is expected of them.

    Args:
        registers: index → value, of a quote or of another signed statement.
        expected: register name → value, and whether a difference refuses or warns.
        findings: where mismatches and warnings go.
    """
    for name, register in expected.items():
        value = registers.get(int(name))
        if value == register.expected:
            continue
        got = value.hex() if value is not None else NOT_QUOTED
        if register.enforced:
            findings.refuse(f"measurements.{name}", expected=register.expected.hex(), got=got)
        else:
            findings.warn(f"measurements.{name}: expected {register.expected.hex()}, got {got}; not enforced")


def _check_mark(verified: VerifiedQuote, case: Case, findings: Findings) -> None:
    expected, name = case.expected_mark(), case.evidence.variant.mark_register
    if expected is None or name is None:
        return
    got = verified.pcrs.get(int(name))
    if got != expected:
        findings.refuse(
            "mark",
            expected=f"register {name} " + (expected.hex() if any(expected) else "that no cluster has marked"),
            got=got.hex() if got is not None else NOT_QUOTED,
        )


def _check_key(verified: VerifiedQuote, case: Case, findings: Findings) -> None:
    accepted, name = case.policy.ak_names, verified.key.name
    if accepted and name not in accepted:
        findings.refuse(
            "ak_names",
            expected=" or ".join(known.hex() for known in accepted),
            got=name.hex() if name is not None else "a key without a Name: its public area was not sent",
        )


def _check_event_log(verified: VerifiedQuote, case: Case, findings: Findings) -> None:
    log = case.evidence.tpm.event_log if case.evidence.tpm is not None else b""
    if not log:
        if case.policy.require_event_log:
            findings.refuse("require_event_log", expected="a boot log", got="none")
        return
    # A demanded log must explain every enforced register: one that is cut off, or says nothing, explains nothing.
    demanded = case.policy.enforced if case.policy.require_event_log else {}
    untouched = {int(name): bytes(len(value)) for name, value in demanded.items()}
    try:
        replayed = untouched | replay(parse_event_log(log), verified.bank)
    except MalformedError as error:
        findings.refuse("event_log", expected="a boot log of this bank", got=error)
        return
    differing = [index for index, value in replayed.items() if verified.pcrs.get(index, value) != value]
    if differing:
        findings.refuse(
            "event_log",
            expected="a boot log that replays to the quoted registers",
            got=f"other values of {', '.join(map(str, sorted(differing)))}",
        )
