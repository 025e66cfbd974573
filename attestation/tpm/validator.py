# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TPM evidence in, findings out: verify, validate. `attestation.tpm.vouchers` says before who vouches for the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attestation.errors import NotGenuineError
from attestation.tpm.validate import validate_quote
from attestation.tpm.verify import VerifiedQuote, verify_quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attestation.case import Case
    from attestation.policy_fields import Register
    from attestation.tpm.attestation_key import AttestationKey
    from attestation.verdict import Findings


def examine_tpm(
    case: Case,
    findings: Findings,
    *,
    key: AttestationKey,
    vouchers: tuple[str, ...],
    binding: bytes | None,
    measurements: Mapping[str, Register] | None = None,
) -> VerifiedQuote | None:
    """Examine the TPM part of a case.

    Args:
        case: the question; its evidence has a TPM part.
        findings: where proofs, mismatches, measurements and the node's identity go.
        key: the attestation key, as the platform knows it.
        vouchers: who vouches for that key, root first; empty where nobody does.
        binding: what the quote must carry; None for recorded evidence.
        measurements: expected registers; the policy's, unless the platform judges some of them elsewhere.

    Returns:
        The verified quote, on which a platform builds; None if it is not genuine.
    """
    with findings.checking():
        tpm = case.evidence.tpm
        if tpm is None:
            raise NotGenuineError("evidence.parts", expected="a TPM quote", got="none")
        verified = verify_quote(key, tpm.attest, tpm.signature, tpm.pcrs, binding=binding, vouchers=vouchers)
        findings.proofs.append(verified)
        expected = case.policy.measurements if measurements is None else measurements
        validate_quote(verified, case, findings, measurements=expected)
        findings.measurements.update({str(index): value for index, value in verified.pcrs.items()})
        findings.identity, findings.identity_kind = key.identity, key.identity_kind
        if key.public is None:
            findings.warn("the identity is that of the bare key: its public area was not sent")
        return verified
    return None
