# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Judges evidence of Google Cloud: `gcp-sev-snp`, `gcp-sev-es`, `gcp-tdx`.

The vTPM is the hypervisor's; Google certifies its attestation key. On SEV-SNP the CPU's report stands beside it, and
the two are tied together: the quote signs the hash of the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.binding import expected_report_data, quote_beside_report
from attestation.case import BINDING_SIZE
from attestation.errors import NotGenuineError
from attestation.snp.validator import examine_snp as examine_report
from attestation.tdx.validator import examine_tdx as examine_td_quote
from attestation.tpm.event_log import parse_event_log
from attestation.tpm.gce_event import GceTechnology, gce_technology
from attestation.tpm.replay import replay
from attestation.tpm.validator import examine_tpm
from attestation.tpm.vouchers import certified_key

if TYPE_CHECKING:
    from attestation.case import Case
    from attestation.snp.verify import VerifiedReport
    from attestation.tpm.verify import VerifiedQuote
    from attestation.verdict import Findings

FIRMWARE_REGISTER: Final = 0
# With plain SEV the host reads the registers of the CPU.
ENCRYPTS_REGISTERS: Final = (GceTechnology.SEV_ES, GceTechnology.SEV_SNP)


def examine_snp(case: Case, findings: Findings) -> None:
    """Judge a confidential VM with SEV-SNP.

    1. AMD vouches for the report, and it carries the binding (attack: replay and relay of the report).
    2. Google certified the key of the vTPM, or the policy lists it (attack: a TPM of software).
    3. The quote is signed by that key over binding and hash of the report (attack: the report of one machine beside
       the registers of another).
    """
    # 1
    verified = examine_report(case, findings, report_data=expected_report_data(case))
    with findings.checking():
        # 2
        vouched = certified_key(case, findings)
        # 3
        examine_tpm(case, findings, key=vouched.key, vouchers=vouched.vouchers, binding=_quote_binding(case, verified))


def examine_sev_es(case: Case, findings: Findings) -> None:
    """Judge a confidential VM with SEV-ES.

    1. Google certified the key of the vTPM, or the policy lists it (attack: a TPM of software).
    2. The quote is signed by that key and carries the binding (attack: replay, relay, changed registers).
    3. The boot log replays to register 0 of the quote, and says that memory and registers of the machine are
       encrypted (attack: the same image on a machine without encryption). It is the hypervisor's word.
    """
    with findings.checking():
        # 1
        vouched = certified_key(case, findings)
        # 2
        verified = examine_tpm(case, findings, key=vouched.key, vouchers=vouched.vouchers, binding=case.binding)
        # 3
        if verified is not None:
            _check_encryption(case, verified)


def examine_tdx(case: Case, findings: Findings) -> None:
    """Judge a confidential VM with TDX.

    1. Intel vouches for the quote, and it carries the binding; MRTD and RTMRs are the policy's.
    """
    examine_td_quote(case, findings, report_data=expected_report_data(case))


def _check_encryption(case: Case, verified: VerifiedQuote) -> None:
    data = case.evidence.tpm.event_log if case.evidence.tpm is not None else b""
    if not data:
        raise NotGenuineError("gcp.event_log", expected="the boot log, which names the technology", got="none")
    log = parse_event_log(data)
    if replay(log, verified.bank).get(FIRMWARE_REGISTER) != verified.pcrs.get(FIRMWARE_REGISTER, b""):
        raise NotGenuineError(
            "gcp.event_log", expected="a boot log that replays to register 0 of the quote", got="another log"
        )
    technology = gce_technology(log, verified.bank)
    if technology not in ENCRYPTS_REGISTERS:
        raise NotGenuineError(
            "gcp.technology",
            expected=" or ".join(accepted.name for accepted in ENCRYPTS_REGISTERS),
            got=technology.name if technology is not None else "a boot log that names none",
        )


def _quote_binding(case: Case, verified: VerifiedReport | None) -> bytes | None:
    report = case.evidence.snp.report if case.evidence.snp is not None else b""
    binding = case.binding
    if binding is None and verified is not None:
        # Nobody knows what recorded evidence answered, but the report says it, so the tie can still be checked.
        binding = verified.report.report_data[:BINDING_SIZE]
    return quote_beside_report(binding, report) if binding is not None else None
