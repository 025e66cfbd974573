# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""SNP evidence in, findings out: parse, verify, validate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attestation.errors import NotGenuineError
from attestation.snp.report import SigningKey, parse_report
from attestation.snp.revocation import check_revocation
from attestation.snp.validate import validate_report
from attestation.snp.verify import VerifiedReport, verify_endorsement, verify_report

if TYPE_CHECKING:
    from attestation.case import Case
    from attestation.verdict import Findings


def examine_snp(case: Case, findings: Findings, *, report_data: bytes | None) -> VerifiedReport | None:
    """Examine the SNP part of a case.

    Args:
        case: the question; its evidence has an SNP part.
        findings: where proofs, mismatches, TCB and measurements go.
        report_data: the 64 bytes the report must be bound to; None for recorded evidence.

    Returns:
        The verified report, on which a platform builds; None if it is not genuine.
    """
    with findings.checking():
        return _examine(case, findings, report_data)
    return None


def _examine(case: Case, findings: Findings, report_data: bytes | None) -> VerifiedReport:
    if case.evidence.snp is None:
        raise NotGenuineError("evidence.parts", expected="an SNP report", got="none")
    report = parse_report(case.evidence.snp.report)
    if report.signing_key not in (SigningKey.VCEK, SigningKey.VLEK):
        raise NotGenuineError("snp.signing_key", expected="a report signed by VCEK or VLEK", got="an unsigned report")
    endorsement = verify_endorsement(
        case.evidence.snp.certificates,
        kind=report.signing_key,
        at=case.at,
        roots=case.roots,
    )
    verified = verify_report(report, endorsement, at=case.at)
    findings.proofs.append(verified)
    with findings.checking():
        check_revocation(endorsement.chain, case.policy, findings, at=case.at)
    validate_report(verified, case.policy, findings, report_data=report_data)
    for name in ("reported", "current", "committed", "launch"):
        findings.tcb[name] = verified.product.tcb(getattr(report, f"{name}_tcb"))
    findings.measurements["launch_digest"] = report.measurement
    return verified
