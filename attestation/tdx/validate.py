# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Is a genuine TD quote acceptable? Every field of the policy that speaks about TDs, all mismatches at once.

Freshness of revocation lists, the TCB status by Intel's collateral, and the boot log have modules of their own.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from attestation.tdx.attributes import TUD, TdAttributes, Xfam, flag_names, unknown_bits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attestation.case import Case
    from attestation.policy import Policy
    from attestation.tdx.quote import TdReport
    from attestation.tdx.verify import VerifiedQuote
    from attestation.verdict import Findings


def validate_quote(verified: VerifiedQuote, case: Case, findings: Findings, *, report_data: bytes | None) -> None:
    """Compare a genuine quote with the policy.

    Args:
        verified: the quote and its platform.
        case: what is acceptable, and what the mark register must hold.
        findings: where mismatches and warnings go.
        report_data: the 64 bytes that the quote must be bound to; None for recorded evidence.
    """
    report, policy = verified.quote.report, case.policy
    if report_data is not None and not hmac.compare_digest(report.report_data, report_data):
        findings.refuse("binding", expected=f"REPORT_DATA {report_data.hex()}", got=report.report_data.hex())
    _check_registers(report, case, findings)
    _check_mark(report, case, findings)
    _check_debug(report, policy, findings)
    _check_migration(report, findings)
    _check_features(report, policy, findings)
    _check_module(report, findings)
    _check_lists(verified, policy, findings)
    _check_tcb(verified, policy, findings)


def security_versions(verified: VerifiedQuote) -> dict[str, int]:
    """Security version of each component, by the names that policies use.

    A TD that lived through an update of the TDX module shows two sets; the lower version of each component counts,
    because whatever the older module could not protect is lost.
    """
    report = verified.quote.report
    pairs = zip(report.tee_tcb_svn, report.tee_tcb_svn_2 or report.tee_tcb_svn, strict=True)
    module, module_major, microcode, *_ = (min(pair) for pair in pairs)
    return {
        "module": module,
        "module_major": module_major,
        "microcode": microcode,
        "pce": verified.platform.pce_svn,
        "qe": verified.quote.signature.enclave.security_version,
    }


def _check_registers(report: TdReport, case: Case, findings: Findings) -> None:
    for name, register in case.policy.measurements.items():
        value = report.registers.get(name)
        if value is None or value == register.expected:  # None for a PCR, which is the TPM's business
            continue
        if register.enforced:
            findings.refuse(f"measurements.{name}", expected=register.expected.hex(), got=value.hex())
        else:
            findings.warn(
                f"measurements.{name}: expected {register.expected.hex()}, got {value.hex()}; not enforced",
            )


def _check_mark(report: TdReport, case: Case, findings: Findings) -> None:
    expected, name = case.expected_mark(), case.evidence.variant.mark_register
    value = report.registers.get(name or "")
    if expected is None or value is None or value == expected:
        return
    findings.refuse(
        "mark",
        expected=f"register {name} " + (expected.hex() if any(expected) else "that no cluster has marked"),
        got=value.hex(),
    )


def _check_debug(report: TdReport, policy: Policy, findings: Findings) -> None:
    under_debug = report.td_attributes[0] & TUD
    if under_debug & ~TdAttributes.DEBUG:
        names = ", ".join(flag_names(TdAttributes, bytes([under_debug])))
        findings.refuse("td_attributes.tud", expected="a TD that nothing outside observes", got=names)
    if not under_debug & TdAttributes.DEBUG:
        return
    if policy.allow_debug:
        findings.warn("debug is allowed: the host may read the TD's memory")
    else:
        findings.refuse("allow_debug", expected="a TD that its host cannot debug", got="debug allowed")


def _check_migration(report: TdReport, findings: Findings) -> None:
    if int.from_bytes(report.td_attributes, "little") & TdAttributes.MIGRATABLE:
        findings.refuse("migration_agent", expected="a TD that nobody can export", got="attribute MIGRATABLE")
    if report.mr_service_td is not None and any(report.mr_service_td):
        findings.refuse(
            "migration_agent",
            expected="a TD without service TDs",
            got=f"service TDs with hash {report.mr_service_td.hex()}",
        )


def _check_features(report: TdReport, policy: Policy, findings: Findings) -> None:
    for name, flags, raw, listed in (
        ("td_attributes", TdAttributes, report.td_attributes, policy.td_attributes),
        ("xfams", Xfam, report.xfam, policy.xfams),
    ):
        unknown = unknown_bits(flags, raw)
        if unknown and raw not in listed:  # who lists the whole value knows what the bits mean
            findings.refuse(name, expected="only bits that are known", got=f"bits {', '.join(map(str, unknown))}")


def _check_module(report: TdReport, findings: Findings) -> None:
    for name, value in (("mr_signer_seam", report.mr_signer_seam), ("seam_attributes", report.seam_attributes)):
        if any(value):
            findings.refuse(name, expected="zero, as for Intel's TDX module", got=value.hex())


def _check_lists(verified: VerifiedQuote, policy: Policy, findings: Findings) -> None:
    report = verified.quote.report
    for name, accepted, got in (
        ("mr_seams", policy.mr_seams, report.mr_seam),
        ("td_attributes", policy.td_attributes, report.td_attributes),
        ("xfams", policy.xfams, report.xfam),
        ("launch_manifests", policy.launch_manifests, report.mr_config_id),
        ("chip_ids", policy.chip_ids, verified.platform.ppid),
    ):
        if accepted and got not in accepted:
            findings.refuse(name, expected=_either(accepted), got=got.hex())


def _check_tcb(verified: VerifiedQuote, policy: Policy, findings: Findings) -> None:
    versions = security_versions(verified)
    for component, lowest in policy.minimum_tcb.items():
        if versions[component] < lowest:
            findings.refuse(f"minimum_tcb.{component}", expected=f"at least {lowest}", got=versions[component])


def _either(values: Iterable[bytes]) -> str:
    return " or ".join(value.hex() for value in values)
