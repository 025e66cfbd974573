# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a request for a key can end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from grpc import StatusCode


class Outcome(StrEnum):
    """How a request ended: the word in the audit and in metrics."""

    GIVEN = "given"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    MALFORMED = "malformed"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"

    @property
    def status(self) -> StatusCode:
        """What gRPC calls it."""
        return _STATUS[self]


_STATUS: Final = {
    Outcome.GIVEN: StatusCode.OK,
    Outcome.UNAUTHENTICATED: StatusCode.UNAUTHENTICATED,
    Outcome.DENIED: StatusCode.PERMISSION_DENIED,
    Outcome.MALFORMED: StatusCode.INVALID_ARGUMENT,
    Outcome.LIMITED: StatusCode.RESOURCE_EXHAUSTED,
    Outcome.UNAVAILABLE: StatusCode.UNAVAILABLE,
    Outcome.FAILED: StatusCode.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a key is not given.

    Attributes:
        outcome: the kind.
        reason: one sentence for the caller and the audit.
        retry_after: seconds after which to try again; 0 says nothing.
    """

    outcome: Outcome
    reason: str
    retry_after: float = 0.0
