# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a command of ours raises, and the exit status that scripts can rely on.

    AttestationError (attestation.errors)
    └── CommandError      a command cannot do what was asked: exit status 1
        └── UsageError    the words on the command line contradict each other: exit status 64

They stand in the tree of the library, so whoever prints one prints all: a sentence, and a hint what to do next.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from attestation.errors import AttestationError


class ExitStatus(IntEnum):
    """How a command ends."""

    OK = 0
    FAILED = 1
    REFUSED = 2  # ran, and the answer is no: evidence is not accepted, a state differs
    USAGE = 64  # EX_USAGE of sysexits.h, so that a misspelt option is never taken for a refusal


class CommandError(AttestationError):
    """A command cannot do what was asked."""

    status: ClassVar[ExitStatus] = ExitStatus.FAILED


class UsageError(CommandError):
    """Options contradict each other."""

    status: ClassVar[ExitStatus] = ExitStatus.USAGE
