# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The variant `insecure`: evidence that proves nothing, for tests of everything around it.

It is judged only by a policy that names it, nobody vouches for it, and every verdict says so.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from attestation.evidence import Evidence
from attestation.proof import SEAL, Proof
from attestation.variant import Variant

if TYPE_CHECKING:
    from attestation.case import Case
    from attestation.verdict import Findings


class InsecureIssuer:
    """Issues evidence that anybody can issue."""

    variant = Variant.INSECURE

    def issue(self, binding: bytes) -> Evidence:
        """Wrap the binding.

        Args:
            binding: 32 bytes to be bound to.
        """
        return Evidence(Variant.INSECURE, platform={"binding": binding})


def examine(case: Case, findings: Findings) -> None:
    """Compare the binding, which is all there is."""
    findings.proofs.append(Proof(vouchers=(), seal=SEAL))
    findings.warn("insecure: nobody vouches for this evidence")
    got = case.evidence.platform.get("binding", b"")
    if case.binding is not None and not hmac.compare_digest(got, case.binding):
        findings.refuse("binding", expected=case.binding.hex(), got=got.hex() or "nothing")
