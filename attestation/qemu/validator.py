# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Judges evidence of own servers: `qemu-vtpm` and `openstack-vtpm`, `qemu-snp`, `qemu-tdx`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from attestation.binding import expected_report_data
from attestation.snp.validator import examine_snp as examine_report
from attestation.tdx.validator import examine_tdx as examine_td_quote
from attestation.tpm.validator import examine_tpm
from attestation.tpm.vouchers import announced_key, endorsement_vouchers

if TYPE_CHECKING:
    from attestation.case import Case
    from attestation.snp.verify import VerifiedReport
    from attestation.verdict import Findings

CHIP_ID_SIZE: Final = 64


def examine_vtpm(case: Case, findings: Findings) -> None:
    """Judge a vTPM.

    1. The key is one that a TPM made and keeps; where the policy names roots of endorsement keys, one of them must
       have certified the TPM that it lives in (attack: a TPM of software).
    2. The quote is signed by that key and carries the binding (attack: replay, relay, changed registers).
    """
    with findings.checking():
        # 1
        key = announced_key(case)
        vouchers = endorsement_vouchers(case, key, findings)
        # 2
        examine_tpm(case, findings, key=key, vouchers=vouchers, binding=case.binding)


def examine_snp(case: Case, findings: Findings) -> None:
    """Judge a machine with SEV-SNP and no vTPM.

    1. AMD vouches for the report, and it carries the binding. Launch digest and launch manifest, which are all that
       says what was booted, are the policy's (`attestation.snp.validate`).
    2. The chip is the node's identity: two guests on one chip cannot be told apart by it.
    """
    # 1
    verified = examine_report(case, findings, report_data=expected_report_data(case))
    # 2
    if verified is not None:
        _identify(verified, findings)
    if not case.policy.launch_manifests:
        findings.warn("launch_manifests is empty: the host chooses the role of the node")


def _identify(verified: VerifiedReport, findings: Findings) -> None:
    chip_id = (verified.endorsement.chip_id or verified.report.chip_id).ljust(CHIP_ID_SIZE, b"\0")
    if not any(chip_id):
        findings.warn("the host hides the id of its chip: nothing identifies the node")
        return
    findings.identity = hashlib.sha256(chip_id).digest()
    findings.identity_kind = "chip id"
    findings.warn("the identity is that of the chip: guests on the same chip share it")


def examine_tdx(case: Case, findings: Findings) -> None:
    """Judge a machine with TDX and no vTPM.

    1. Intel vouches for the quote, and it carries the binding; MRTD, RTMRs and launch manifest are the policy's.
    2. The platform is the node's identity (set by `attestation.tdx.validator`).
    """
    examine_td_quote(case, findings, report_data=expected_report_data(case))
