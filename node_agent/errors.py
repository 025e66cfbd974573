# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that steers the loops of `node_agent`, one tree.

    AgentError
    ├── TemporaryError        try again, after a delay
    └── PermanentError        trying again will not help: report it
        └── StrangerError     a service and we do not accept one another; another service may

Errors of `constellation_core` and `attestation` are turned into one of the two where a loop meets them.
"""

from __future__ import annotations


class AgentError(Exception):
    """Root of the tree.

    Args:
        message: one sentence: what was expected, what came.
        hint: what to do next; empty where the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class TemporaryError(AgentError):
    """Try again.

    Args:
        message: one sentence: what was expected, what came.
        delay: seconds to wait at least; 0 where the loop may decide.
        hint: what to do next.
    """

    def __init__(self, message: str, *, delay: float = 0.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.delay = delay


class PermanentError(AgentError):
    """Trying again will not help."""


class StrangerError(PermanentError):
    """A service and we do not accept one another. Another service may."""
