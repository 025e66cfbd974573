# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Azure's chain as it is measured: AMD → report → runtime data → vTPM key → quote, judged by a policy."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from attestation import Evidence, Policy, SnpEvidence, TpmEvidence, Variant, judge
from attestation.azure.hcl import parse_hcl
from attestation.snp.report import parse_report
from benchmarks.subject import AT

if TYPE_CHECKING:
    from benchmarks.subject import Verification

_RSASSA_SHA256: Final = bytes.fromhex(
    "0014000b0100"
)  # the file has the bare signature, without TPMT_SIGNATURE around it


def azure_chain(file: bytes) -> Verification:
    """Judge evidence that a confidential VM of Azure gave, with a policy that enforces all its registers."""
    evidence = _evidence(json.loads(file))
    policy = _policy(evidence)
    return lambda: judge(evidence, policy, binding=None, at=AT).require()


def _evidence(record: dict[str, Any]) -> Evidence:
    paravisor = parse_hcl(_decode(record["hcl_report"]))
    quote = record["tpm_quote"]
    return Evidence(
        variant=Variant.AZURE_SEV_SNP,
        snp=SnpEvidence(report=paravisor.snp_report, certificates=(_decode(record["vcek"]),)),
        tpm=TpmEvidence(
            attest=bytes.fromhex(quote["message"]),
            signature=_RSASSA_SHA256 + bytes.fromhex(quote["signature"]),
            pcrs={index: bytes.fromhex(value) for index, value in enumerate(quote["pcrs"])},
        ),
        platform={"runtime_data": paravisor.runtime_data},
    )


def _policy(evidence: Evidence) -> Policy:
    assert evidence.tpm is not None
    assert evidence.snp is not None
    report = parse_report(evidence.snp.report)
    return Policy.from_mapping(
        {
            "variant": evidence.variant.value,
            "measurements": {str(index): _enforced(value) for index, value in evidence.tpm.pcrs.items()},
            "minimum_tcb": {"bootloader": 3, "tee": 0, "snp": 8, "microcode": 115},
            "id_key_digests": [report.id_key_digest.hex()],
            "allow_smt": True,
            "crl": "off",
        }
    )


def _enforced(register: bytes) -> dict[str, object]:
    return {"expected": register.hex(), "enforced": True}


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")
