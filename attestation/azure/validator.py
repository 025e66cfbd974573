# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Judges evidence of Azure: `azure-sev-snp`, `azure-tdx`, `azure-trusted-launch`.

In the first two the hardware vouches for a paravisor, which holds the vTPM beneath the guest. It has the hardware sign
the hash of its runtime data, and that names the vTPM's key. Only the paravisor can do so: SNP reports of VMPL 0 and
TD reports of the partitioned TD are out of the guest's reach. So the policy must say which paravisor.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from attestation.azure.runtime_data import parse_runtime_data
from attestation.binding import report_data
from attestation.errors import NotGenuineError
from attestation.snp.validator import examine_snp as examine_report
from attestation.tdx.validator import examine_tdx as examine_td_quote
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.validator import examine_tpm
from attestation.tpm.vouchers import announced_key, certified_key, check_same_key

if TYPE_CHECKING:
    from attestation.case import Case
    from attestation.proof import Proof
    from attestation.verdict import Findings

PARAVISOR: Final = "Azure paravisor"


def examine_snp(case: Case, findings: Findings) -> None:
    """Judge a confidential VM with SEV-SNP.

    1. AMD vouches for the report, which carries the hash of the runtime data (attack: runtime data with a key of
       one's own).
    2. The key in the evidence is the one that the runtime data names (attack: a swapped key).
    3. The quote is signed by that key and carries the binding (attack: replay, relay, changed registers).
    """
    # 1
    runtime_data = case.evidence.platform.get("runtime_data", b"")
    expected = hash_report_data(runtime_data)
    verified = examine_report(case, findings, report_data=expected)
    says_so = verified is not None and verified.report.report_data == expected
    # 2, 3
    _examine_vtpm(case, findings, runtime_data, verified if says_so else None)


def examine_tdx(case: Case, findings: Findings) -> None:
    """Judge a confidential VM with TDX.

    1. Intel vouches for the quote, which carries the hash of the runtime data (attack: runtime data with a key of
       one's own).
    2. MRTD is that of an accepted paravisor (attack: a TD of one's own, which names a key of one's own).
    3. The key in the evidence is the one that the runtime data names (attack: a swapped key).
    4. The quote of the vTPM is signed by that key and carries the binding (attack: replay, relay, changed registers).
    """
    # 1
    runtime_data = case.evidence.platform.get("runtime_data", b"")
    expected = hash_report_data(runtime_data)
    verified = examine_td_quote(case, findings, report_data=expected)
    # 2
    if verified is not None:
        _check_paravisor(verified.quote.report.mr_td, case, findings)
    says_so = verified is not None and verified.quote.report.report_data == expected
    # 3, 4
    _examine_vtpm(case, findings, runtime_data, verified if says_so else None)


def examine_trusted_launch(case: Case, findings: Findings) -> None:
    """Judge a VM without confidential computing.

    1. Azure's authority certified the key of the vTPM, or the policy lists it (attack: a TPM of software).
    2. The quote is signed by that key and carries the binding (attack: replay, relay, changed registers).
    """
    with findings.checking():
        # 1
        vouched = certified_key(case, findings)
        # 2
        examine_tpm(case, findings, key=vouched.key, vouchers=vouched.vouchers, binding=case.binding)


def _check_paravisor(measurement: bytes, case: Case, findings: Findings) -> None:
    accepted = case.policy.launch_digests
    if measurement not in accepted:
        findings.refuse(
            "launch_digests", expected=" or ".join(digest.hex() for digest in accepted), got=measurement.hex()
        )


def hash_report_data(runtime_data: bytes) -> bytes:
    """What the paravisor has the hardware sign: SHA-256 of the runtime data, then zeros."""
    return report_data(hashlib.sha256(runtime_data).digest())


def _examine_vtpm(case: Case, findings: Findings, runtime_data: bytes, hardware: Proof | None) -> None:
    with findings.checking():
        if not runtime_data:
            raise NotGenuineError("azure.runtime_data", expected="the runtime data that the report hashes", got="none")
        # 2
        named = AttestationKey(parse_runtime_data(runtime_data).attestation_key)
        key = named
        if case.evidence.tpm is not None and case.evidence.tpm.ak_public:
            key = announced_key(case)
            check_same_key(key, named, by=PARAVISOR)
        # 3
        vouchers = (*hardware.vouchers, PARAVISOR) if hardware is not None else ()
        examine_tpm(case, findings, key=key, vouchers=vouchers, binding=case.binding)
