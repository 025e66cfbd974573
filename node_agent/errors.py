# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that steers the loops of `node_agent`, one tree.

    AgentError
    ├── TemporaryError        try again, after a delay
    └── PermanentError        trying again will not help: report it
        ├── StrangerError     a service and we do not accept one another; another service may
        └── ProgramError      another program failed
            └── LateProgramError  it did not end in time

Errors of `constellation_core` and `attestation` are turned into one of the two where a loop meets them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


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


class ProgramError(PermanentError):
    """Another program failed.

    Args:
        message: one sentence.
        last_words: its last lines.
        code: with which it ended; None where it did not, or was not there.
        hint: what to do next.
    """

    def __init__(
        self, message: str, last_words: Sequence[str] = (), *, code: int | None = None, hint: str = ""
    ) -> None:
        said = "\n".join(last_words)
        super().__init__(f"{message}; it said last:\n{said}" if said else message, hint=hint)
        self.last_words = tuple(last_words)
        self.code = code


class LateProgramError(ProgramError):
    """Another program did not end in time, and was killed."""
