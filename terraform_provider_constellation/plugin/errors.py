# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, and how a provider says so to the user.

    PluginError               has a hint: what to do next
    ├── SchemaError           the declaration itself is wrong: the author's mistake, found when the provider is made
    ├── WireError             Terraform sent what the protocol does not allow, or we were about to
    ├── StartError            Terraform cannot use this program: started by hand, or another protocol
    ├── UnknownValueError     this value is known after apply only; rules that meet it are skipped
    ├── DeferredError         this cannot be planned yet
    ├── StoppedError          Terraform was asked to stop, and the step that was under way is saved
    ├── ArgumentError         an argument of a function is wrong
    └── ProviderError         anything else that a provider tells the user: one problem or several

A `Problem` is what the user sees: Terraform prints it with the line of the configuration that its path leads to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from terraform_provider_constellation.plugin.wire.paths import Path


class Severity(Enum):
    """What a problem means; the values are the protocol's."""

    ERROR = 1
    WARNING = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to tell the user.

    Attributes:
        summary: one line, without a full stop.
        detail: what was expected, what came, what to do.
        at: the attribute it is about, as a user writes it: `node_groups[1].count`, `registers["4"]`. Nothing stands for
            the object that is checked as a whole.
        severity: whether Terraform goes on.

    Raises:
        ValueError: `at` is no path.
    """

    summary: str
    detail: str = ""
    at: str | Path = ""
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        """Find a mistake in the path where it is made: later it would be in the way of the message."""
        _ = self.path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.at if isinstance(self.at, Path) else Path.parse(self.at)

    def under(self, parent: Path) -> Problem:
        """The same problem, seen from outside the object that it was found in."""
        return replace(self, at=Path((*parent.steps, *self.path.steps)))


class PluginError(Exception):
    """Root of this tree.

    Attributes:
        hint: what to do next, or nothing.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SchemaError(PluginError):
    """Terraform would refuse this schema, or it says two things at once."""


class WireError(PluginError):
    """Bytes or values that are not what their type says."""


class StartError(PluginError):
    """Terraform did not start this program, or cannot speak with it."""


class UnknownValueError(PluginError):
    """The value is not known before apply."""


class DeferralReason(Enum):
    """Why something cannot be planned yet; the values are the protocol's."""

    RESOURCE_CONFIGURATION_UNKNOWN = 1
    PROVIDER_CONFIGURATION_UNKNOWN = 2
    ABSENT_PREREQUISITE = 3


class DeferredError(PluginError):
    """This waits for something else: a Terraform that knows deferral plans it in its next round, others get an error.

    Attributes:
        reason: why.
    """

    def __init__(self, message: str, *, reason: DeferralReason = DeferralReason.ABSENT_PREREQUISITE) -> None:
        super().__init__(message, hint="apply what it waits for first, with -target, then run Terraform again")
        self.reason = reason


class StoppedError(PluginError):
    """Terraform was told to stop (Ctrl-C)."""


class ArgumentError(PluginError):
    """An argument of a function is not acceptable.

    Attributes:
        argument: name of the parameter; nothing if several together are wrong.
    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(message)
        self.argument = argument


class ProviderError(PluginError):
    """The operation failed, for a reason that the user can do something about.

    Attributes:
        problems: what Terraform shows.
    """

    def __init__(self, summary: str, detail: str = "", *, at: str | Path = "", also: tuple[Problem, ...] = ()) -> None:
        super().__init__(summary)
        self.problems = (Problem(summary, detail, at), *also)
