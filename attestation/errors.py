# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything `attestation` raises, one tree.

    AttestationError
    ├── MalformedError        bytes are not what their format says
    ├── NotGenuineError       a signature, a chain or a binding does not hold
    ├── NotAcceptedError      genuine or not, the policy refuses it; carries the verdict
    ├── PolicyError           the policy itself cannot be used
    ├── DeviceError           a TPM or a report device does not do what was asked
    │   └── TpmError          a TPM answered with a response code
    ├── EndorsementError      a vendor service (KDS, PCS) has no certificate for us
    ├── MissingExtraError     an optional dependency is not installed
    └── PredictionError       measurements of an image cannot be predicted

Each carries `hint`: what the reader can do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attestation.verdict import Verdict


class AttestationError(Exception):
    """Root of the tree.

    Args:
        message: one sentence: what was expected, what came.
        hint: what to do next; empty where the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class MalformedError(AttestationError):
    """Bytes do not follow their format: too short, trailing, out of range."""


class NotGenuineError(AttestationError):
    """A cryptographic check failed: nobody we trust vouches for these bytes.

    Args:
        check: name of the check, dotted, technology first: `snp.signature`.
        expected: what would have been genuine, for people.
        got: what came, for people.
    """

    def __init__(self, check: str, *, expected: str, got: str, hint: str = "") -> None:
        super().__init__(f"{check}: expected {expected}, got {got}", hint=hint)
        self.check = check
        self.expected = expected
        self.got = got


class NotAcceptedError(AttestationError):
    """The verdict is no. `verdict` lists every reason."""

    def __init__(self, verdict: Verdict) -> None:
        reasons = "; ".join(str(mismatch) for mismatch in verdict.mismatches)
        super().__init__(
            f"evidence of variant {verdict.evidence.variant} is not accepted: {reasons}",
            hint="compare the policy with the image that the node booted",
        )
        self.verdict = verdict


class PolicyError(AttestationError):
    """The policy is empty, partial, misspelt, or says something its variant cannot check."""


class DeviceError(AttestationError):
    """No device, no permission, or a device that fails."""


class TpmError(DeviceError):
    """A TPM refused a command.

    Args:
        command: name of the command as in TPM 2.0 Part 3, e.g. `TPM2_Unseal`.
        code: response code (TPM_RC), e.g. 0x99D.
    """

    def __init__(self, command: str, code: int, *, hint: str = "") -> None:
        super().__init__(f"{command} failed with response code {code:#x}", hint=hint)
        self.command = command
        self.code = code


class EndorsementError(AttestationError):
    """A certificate that vouches for a device could not be had."""


class MissingExtraError(AttestationError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"the Python package '{package}' is needed for this and is not installed",
            hint=f"pip install 'constellation-kubernetes[{extra}]'",
        )
        self.package = package
        self.extra = extra


class PredictionError(AttestationError):
    """An image whose measurements we cannot compute: unknown stub, broken PE."""
