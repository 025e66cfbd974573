# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Is a genuine SNP report acceptable? Every field of the policy that speaks about SNP, all mismatches at once."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from attestation.snp.report import GuestPolicy, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from attestation.policy import Policy
    from attestation.snp.verify import VerifiedReport
    from attestation.verdict import Findings


def validate_report(
    verified: VerifiedReport,
    policy: Policy,
    findings: Findings,
    *,
    report_data: bytes | None,
) -> None:
    """Compare a genuine report with the policy.

    Args:
        verified: the report and its key.
        policy: what is acceptable.
        findings: where mismatches and warnings go.
        report_data: the 64 bytes that the report must be bound to; None for recorded evidence.
    """
    report = verified.report
    if report_data is not None and not hmac.compare_digest(report.report_data, report_data):
        findings.refuse("binding", expected=f"REPORT_DATA {report_data.hex()}", got=report.report_data.hex())
    _check_form(report, policy, findings)
    _check_guest(report, policy, findings)
    _check_platform(verified, policy, findings)
    _check_digests(report, policy, findings)
    _check_tcb(verified, policy, findings)


def _check_form(report: Report, policy: Policy, findings: Findings) -> None:
    if report.unknown:
        unknown = ", ".join(report.unknown)
        if policy.allow_unknown_bits:
            findings.warn(f"unknown bits are allowed: {unknown}")
        else:
            findings.refuse("allow_unknown_bits", expected="only bits that its version defines", got=unknown)
    if not report.policy & GuestPolicy.RESERVED_ONE:
        findings.refuse("report", expected="policy bit 17 set", got=f"policy {report.policy:#x}")
    if report.family is None:
        if not policy.allow_report_v2:
            findings.refuse("allow_report_v2", expected="a report of version 3 or later", got="version 2")
        else:
            findings.warn("report of version 2: only its certificate names the product")


def _check_guest(report: Report, policy: Policy, findings: Findings) -> None:
    if report.debug:
        if policy.allow_debug:
            findings.warn("debug is allowed: the host may read the guest's memory")
        else:
            findings.refuse("allow_debug", expected="a guest that its host cannot debug", got="debug allowed")
    if report.migration_agent:
        findings.refuse(
            "migration_agent", expected="a guest that nobody can export", got="a migration agent is allowed"
        )
    if report.smt_allowed:
        if policy.allow_smt:
            findings.warn("SMT is allowed: another guest may run on the same core")
        else:
            findings.refuse("allow_smt", expected="a guest that never shares a core", got="SMT allowed")
    if report.vmpl not in policy.vmpl:
        findings.refuse("vmpl", expected=_either(map(str, policy.vmpl)), got=report.vmpl)


def _check_platform(verified: VerifiedReport, policy: Policy, findings: Findings) -> None:
    if policy.products and verified.product not in policy.products:
        findings.refuse("products", expected=_either(policy.products), got=verified.product)
    if missing := [flag for flag in policy.platform_flags if flag not in verified.report.platform_flags]:
        findings.refuse(
            "platform_flags", expected=", ".join(policy.platform_flags), got=f"without {', '.join(missing)}"
        )
    if policy.chip_ids and not _listed_chip(verified, policy.chip_ids):
        findings.refuse("chip_ids", expected=f"one of {len(policy.chip_ids)} known chips", got=_chip(verified))


def _listed_chip(verified: VerifiedReport, chip_ids: Sequence[bytes]) -> bool:
    chip_id = verified.endorsement.chip_id or verified.report.chip_id
    width = len(verified.report.chip_id)
    return any(chip_id) and chip_id.ljust(width, b"\0") in {known.ljust(width, b"\0") for known in chip_ids}


def _chip(verified: VerifiedReport) -> str:
    chip_id = verified.endorsement.chip_id or verified.report.chip_id
    return chip_id.hex() if any(chip_id) else "a chip that does not say which"


def _check_digests(report: Report, policy: Policy, findings: Findings) -> None:
    author = report.author_key_digest if report.author_key_enabled else None
    for name, accepted, got in (
        ("launch_digests", policy.launch_digests, report.measurement),
        ("id_key_digests", policy.id_key_digests, report.id_key_digest),
        ("author_key_digests", policy.author_key_digests, author),
        ("launch_manifests", policy.launch_manifests, report.host_data),
    ):
        if accepted and got not in accepted:
            expected = _either(digest.hex() for digest in accepted)
            findings.refuse(name, expected=expected, got=got.hex() if got is not None else "none")


def _check_tcb(verified: VerifiedReport, policy: Policy, findings: Findings) -> None:
    report, product = verified.report, verified.product
    running = {"reported": report.reported_tcb, "current": report.current_tcb, "committed": report.committed_tcb}
    for name, raw in running.items():
        _check_minimum("minimum_tcb", name, product.tcb(raw), policy.minimum_tcb, findings)
    _check_minimum("minimum_launch_tcb", "launch", product.tcb(report.launch_tcb), policy.minimum_launch_tcb, findings)


def _check_minimum(
    field: str,
    which: str,
    tcb: Mapping[str, int],
    minimum: Mapping[str, int],
    findings: Findings,
) -> None:
    for component, lowest in minimum.items():
        # A component that this product does not have counts as version 0.
        got = tcb.get(component, 0)
        if got < lowest:
            findings.refuse(f"{field}.{component}", expected=f"at least {lowest} in the {which} TCB", got=got)


def _either(values: Iterable[str]) -> str:
    return " or ".join(values)
