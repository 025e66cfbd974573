# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Why the join service says no, one tree; each knows what the node hears and how it is counted.

JoinError
├── BadRequestError       the request is not what it must be: the node must not repeat it
├── ForbiddenError        the name or the disk is another machine's, or a person denied it
├── NotAdmittedError      no place for this role
└── TryAgainError         not now: approval is pending, another control plane joins, a service does not answer
"""

from __future__ import annotations

from typing import ClassVar

from grpclib import Status


class JoinError(Exception):
    """Root of the tree.

    Args:
        message: what was expected, what came; the node hears it.
        cause: one word for metrics, from a fixed set.
        hint: what an operator can do; it goes into the log and the event.
    """

    status: ClassVar[Status]

    def __init__(self, message: str, *, cause: str, hint: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        self.hint = hint


class BadRequestError(JoinError):
    """The request is not what it must be."""

    status = Status.INVALID_ARGUMENT


class ForbiddenError(JoinError):
    """The name or the disk is another machine's, or a person denied it."""

    status = Status.PERMISSION_DENIED


class NotAdmittedError(JoinError):
    """There is no place for this role."""

    status = Status.FAILED_PRECONDITION


class TryAgainError(JoinError):
    """Not now."""

    status = Status.UNAVAILABLE
