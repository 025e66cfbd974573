# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the fields of a description must be: their type, then the rules of `constellation_core.rules`.

A field says it in its metadata: `field(metadata=text(rules.cluster_name))`. What only Terraform can know is judged by
the provider, with the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from cdktf_constellation.model.references import is_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Rule = Callable[[Any], str | None]

EXPECTATION: Final = "cdktf_constellation"
_LONGEST_SHOWN: Final = 80  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class Problem:
    """One value that cannot be.

    Attributes:
        attribute: its name, as in Terraform.
        expected: in words.
        got: what came, as Python writes it; empty where that says nothing, or must not be shown.
    """

    attribute: str
    expected: str
    got: str = ""

    def __str__(self) -> str:
        """Write the sentence."""
        return f"{self.attribute}: expected {self.expected}" + (f", got {self.got}" if self.got else "")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the value of a field must be.

    Attributes:
        what: its type, in words.
        fits: whether a value has the type.
        rules: what else it must be.
        sensitive: whether what came is not shown.
    """

    what: str
    fits: Callable[[object], bool]
    rules: tuple[Rule, ...] = ()
    sensitive: bool = False

    def problems(self, attribute: str, value: object) -> Iterator[Problem]:
        """Judge a value."""
        expected = [] if is_unknown(value) else self._expected(value)
        got = "" if self.sensitive else f"{value!r:.{_LONGEST_SHOWN}}"
        yield from (Problem(attribute, words, got) for words in expected)

    def _expected(self, value: object) -> list[str]:
        if not self.fits(value):
            return [self.what]
        return [words for rule in self.rules if (words := rule(value))]


def text(*rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of a text."""
    return {EXPECTATION: Expectation("a text", lambda value: isinstance(value, str) and value != "", rules)}


def secret(*rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of a text that no message shows."""
    return {EXPECTATION: replace(text(*rules)[EXPECTATION], sensitive=True)}


def number(*rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of a whole number."""
    return {EXPECTATION: Expectation("a whole number", lambda value: type(value) is int, rules)}


def texts(*rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of a list of texts."""
    return {EXPECTATION: Expectation("a list of texts", _is_list_of_texts, rules)}


def numbers(*rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of whole numbers by name."""
    return {EXPECTATION: Expectation("whole numbers by name", _is_numbers, rules)}


def objects(*rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of a list of objects, or of expressions that give some."""
    return {EXPECTATION: Expectation("a list of objects", lambda value: isinstance(value, list | tuple), rules)}


def instance(of: type, *rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of an object of a class."""
    return {EXPECTATION: Expectation(f"an object of {of.__name__}", lambda value: isinstance(value, of), rules)}


def flag(*rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of a truth value."""
    return {EXPECTATION: Expectation("True or False", lambda value: isinstance(value, bool), rules)}


def anything(*rules: Rule) -> dict[str, Expectation]:
    """Give the metadata of what Terraform may have an object or a text for."""
    return {EXPECTATION: Expectation("a value", lambda _: True, rules)}


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)


def _is_numbers(value: object) -> bool:
    return isinstance(value, Mapping) and all(type(one) is int for one in value.values())
