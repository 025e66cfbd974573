# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TDX evidence in, findings out: parse, verify, validate."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from attestation.errors import NotGenuineError
from attestation.tdx.boot_log import check_boot_log
from attestation.tdx.collateral import check_collateral, read_collateral
from attestation.tdx.quote import parse_quote
from attestation.tdx.revocation import check_freshness
from attestation.tdx.validate import security_versions, validate_quote
from attestation.tdx.verify import VerifiedQuote, verify_quote
from attestation.variant import Technology

if TYPE_CHECKING:
    from attestation.case import Case
    from attestation.verdict import Findings


def examine_tdx(case: Case, findings: Findings, *, report_data: bytes | None) -> VerifiedQuote | None:
    """Examine the TDX part of a case.

    Args:
        case: the question; its evidence has a TDX part.
        findings: where proofs, mismatches, TCB, measurements and, without a TPM, the identity go.
        report_data: the 64 bytes that the quote must be bound to; None for recorded evidence.

    Returns:
        The verified quote, on which a platform builds; None if it is not genuine.

    Raises:
        MissingExtraError: the policy has collateral, and `dcap-qvl` is not installed.
    """
    with findings.checking():
        return _examine(case, findings, report_data)
    return None


def _examine(case: Case, findings: Findings, report_data: bytes | None) -> VerifiedQuote:
    if case.evidence.tdx is None:
        raise NotGenuineError("evidence.parts", expected="a TD quote", got="none")
    policy, data = case.policy, case.evidence.tdx.quote
    collateral = read_collateral(policy, findings)
    lists = [*policy.revocation_lists, *(der for entry in collateral for der in entry.revocation_lists)]
    verified = verify_quote(parse_quote(data), at=case.at, roots=case.roots, revocation_lists=lists)
    findings.proofs.append(verified)
    validate_quote(verified, case, findings, report_data=report_data)
    check_freshness(verified, policy, findings, at=case.at)
    check_collateral(verified, data, collateral, policy, findings, at=case.at)
    _describe(verified, findings)
    if Technology.TPM not in case.evidence.variant.technologies:
        check_boot_log(verified.quote.report, case, findings)
        _identify(verified, findings)
    return verified


def _describe(verified: VerifiedQuote, findings: Findings) -> None:
    findings.tcb["reported"] = security_versions(verified)
    findings.measurements.update(verified.quote.report.registers)
    if verified.platform.smt_enabled:
        findings.warn("SMT is enabled on the platform: another guest may run on the same core")
    if any(verified.quote.trailing):
        findings.warn(f"{len(verified.quote.trailing)} bytes that nobody signed follow the quote; they were not read")


def _identify(verified: VerifiedQuote, findings: Findings) -> None:
    identifier = verified.platform.ppid if any(verified.platform.ppid) else verified.platform.instance_id
    if not identifier:
        findings.warn("the PCK certificate does not say which platform it is: nothing identifies the node")
        return
    findings.identity = hashlib.sha256(identifier).digest()
    findings.identity_kind = "platform id"
    findings.warn("the identity is that of the platform: guests on the same platform share it")
