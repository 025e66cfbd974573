# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a question can end, and what gRPC and HTTP call that."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from grpclib import Status

from attestation.errors import AttestationError
from constellation_core.errors import BusyError, StatementError
from constellation_services.errors import NoClusterError


class Outcome(StrEnum):
    """How a question ended: the word in metrics."""

    GIVEN = "given"
    MALFORMED = "malformed"
    NO_CLUSTER = "no-cluster"
    BUSY = "busy"
    DEVICE = "device"

    @classmethod
    def of(cls, error: Exception) -> Outcome:
        """Sort an error.

        Raises:
            Exception: the error itself, if it is a bug.
        """
        for kind, outcome in _KINDS:
            if isinstance(error, kind):
                return outcome
        raise error

    @property
    def status(self) -> Status:
        """What gRPC calls it."""
        return _STATUS[self]

    @property
    def http_status(self) -> HTTPStatus:
        """What HTTP calls it."""
        return _HTTP_STATUS[self]


_KINDS: Final = (
    (StatementError, Outcome.MALFORMED),
    (NoClusterError, Outcome.NO_CLUSTER),
    (BusyError, Outcome.BUSY),
    (AttestationError, Outcome.DEVICE),
)
_STATUS: Final = {
    Outcome.GIVEN: Status.OK,
    Outcome.MALFORMED: Status.INVALID_ARGUMENT,
    Outcome.NO_CLUSTER: Status.FAILED_PRECONDITION,
    Outcome.BUSY: Status.RESOURCE_EXHAUSTED,
    Outcome.DEVICE: Status.UNAVAILABLE,
}
_HTTP_STATUS: Final = {
    Outcome.GIVEN: HTTPStatus.OK,
    Outcome.MALFORMED: HTTPStatus.BAD_REQUEST,
    Outcome.NO_CLUSTER: HTTPStatus.CONFLICT,
    Outcome.BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    Outcome.DEVICE: HTTPStatus.SERVICE_UNAVAILABLE,
}
