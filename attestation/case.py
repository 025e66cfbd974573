# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One question to a verifier: this evidence, this policy, bound to this, at this time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from attestation.roots import VENDOR_ROOTS, Roots

if TYPE_CHECKING:
    from datetime import datetime

    from attestation.evidence import Evidence
    from attestation.policy import Policy

BINDING_SIZE: Final = 32  # bytes


class Mark(Enum):
    """What is expected of the register that a node extends with its cluster ID.

    A third possibility is the cluster ID itself (bytes): the register must hold exactly this mark.
    """

    UNMARKED = "unmarked"  # a node that joins, is initialised or recovers
    ANY = "any"  # a service that already serves some cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The question.

    Attributes:
        evidence: what is judged.
        policy: what is acceptable.
        binding: the 32 bytes that the evidence must sign; None for recorded evidence, whose freshness nobody checks.
        mark: expected cluster mark.
        at: the time to take as "now", aware UTC.
        roots: vendor keys to believe; others than the default only for fakes.
    """

    evidence: Evidence
    policy: Policy
    binding: bytes | None
    mark: Mark | bytes
    at: datetime
    roots: Roots = VENDOR_ROOTS

    def __post_init__(self) -> None:
        """Refuse a question that cannot be answered safely."""
        if self.binding is not None and len(self.binding) != BINDING_SIZE:
            message = f"a binding has {BINDING_SIZE} bytes, not {len(self.binding)}"
            raise ValueError(message)
        if self.mark == b"":
            message = "an empty cluster ID marks nothing"
            raise ValueError(message)
        if self.at.tzinfo is None:
            message = "the time of a judgement must be aware"
            raise ValueError(message)

    def expected_mark(self) -> bytes | None:
        """Value of the mark register, as `TPM2_PCR_Event(cluster ID)` leaves it; None where any is accepted."""
        width = self.evidence.variant.register_width
        if self.mark is Mark.ANY or not width:
            return None
        if isinstance(self.mark, Mark):
            return bytes(width)
        algorithm = "sha256" if width == hashlib.sha256().digest_size else "sha384"
        event = hashlib.new(algorithm, self.mark).digest()
        return hashlib.new(algorithm, bytes(width) + event).digest()
