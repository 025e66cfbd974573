# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Is this evidence genuine, is it acceptable, and exactly why not.

    from attestation import Evidence, Policy, judge

    verdict = judge(Evidence.from_json(data), Policy.from_json(text), binding=binding, at=now)
    verdict.require()

Standard library and `cryptography` only, and no IO: bytes in, verdict out. Devices are behind the issuers.
"""

from attestation.case import Mark
from attestation.errors import AttestationError
from attestation.evidence import Evidence, SnpEvidence, TdxEvidence, TpmEvidence
from attestation.judge import judge
from attestation.policy import Policy
from attestation.variant import Variant
from attestation.verdict import Mismatch, Verdict

__all__ = [
    "AttestationError",
    "Evidence",
    "Mark",
    "Mismatch",
    "Policy",
    "SnpEvidence",
    "TdxEvidence",
    "TpmEvidence",
    "Variant",
    "Verdict",
    "judge",
]
