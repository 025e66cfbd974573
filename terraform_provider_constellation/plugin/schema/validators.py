# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a value must be: a validator gives None, or what it expected, as words: "a DNS label".

Anything callable may be one; here are common ones. What came is added to the message, unless it is sensitive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sized
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Between:
    """A number in a range, ends included; None leaves an end open."""

    least: int | float | None = None
    most: int | float | None = None

    def __call__(self, value: float | Decimal) -> str | None:
        """Say what was expected."""
        fits = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
        return None if fits else _range(self.least, self.most)


@dataclass(frozen=True, slots=True)
class Length:
    """Text, or a collection, whose length is in a range, ends included; None leaves an end open."""

    least: int | None = None
    most: int | None = None

    def __call__(self, value: Sized) -> str | None:
        """Say what was expected."""
        fits = (self.least is None or len(value) >= self.least) and (self.most is None or len(value) <= self.most)
        what = "characters" if isinstance(value, str) else "elements"
        return None if fits else f"{_range(self.least, self.most)} {what}"


@dataclass(frozen=True, slots=True)
class Matches:
    """Text that matches a regular expression as a whole.

    Attributes:
        pattern: the expression.
        what: what it stands for, for people: "a DNS label".
    """

    pattern: str
    what: str

    def __call__(self, value: str) -> str | None:
        """Say what was expected."""
        return None if re.fullmatch(self.pattern, value) else self.what


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several values. For text, `Literal` in the annotation says it better."""

    choices: tuple[Any, ...]

    def __call__(self, value: object) -> str | None:
        """Say what was expected."""
        return None if value in self.choices else f"one of {', '.join(map(str, self.choices))}"


def unique(value: list[object]) -> str | None:
    """No element twice."""
    return "every element once" if any(item in value[:index] for index, item in enumerate(value)) else None


def _range(least: float | None, most: float | None) -> str:
    if most is None:
        return f"at least {least}"
    return f"at most {most}" if least is None else f"{least} to {most}"
