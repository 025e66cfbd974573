# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Does the boot log that came along explain the quoted registers?

The log is in the platform's part of evidence, as the firmware left it in the area of the ACPI table CCEL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from attestation.tpm.ccel import replay_rtmrs
from attestation.tpm.event_log import parse_event_log

if TYPE_CHECKING:
    from attestation.case import Case
    from attestation.tdx.quote import TdReport
    from attestation.verdict import Findings

PART: Final = "ccel"


def check_boot_log(report: TdReport, case: Case, findings: Findings) -> None:
    """Refuse a log that does not replay to the registers, and no log where the policy requires one.

    The register of the cluster mark is left aside: it is extended after the boot, and the policy judges it by itself.

    Args:
        report: the genuine TD report.
        case: the evidence with its log, and the policy.
        findings: where mismatches go.
    """
    data = case.evidence.platform.get(PART)
    if data is None:
        if case.policy.require_event_log:
            findings.refuse("require_event_log", expected=f"a boot log in the part {PART}", got="none")
        return
    try:
        replayed = replay_rtmrs(parse_event_log(data))
    except MalformedError as error:
        findings.refuse("event_log", expected="a boot log with SHA-384 digests", got=error)
        return
    values = {f"rtmr{number}": value for number, value in replayed.items()}
    values.pop(case.evidence.variant.mark_register or "", None)
    differing = [name for name, value in values.items() if report.registers[name] != value]
    if differing:
        findings.refuse(
            "event_log",
            expected="a boot log that replays to the quoted registers",
            got=f"other values of {', '.join(differing)}",
        )
