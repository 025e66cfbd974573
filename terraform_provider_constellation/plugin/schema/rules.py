# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Rules: what several attributes of one object must be together.

A rule looks at the object and yields problems. Where it reads a value that is not known yet, it ends there, and is
tried again when everything is known: it needs no care about unknown values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.errors import Problem, UnknownValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Rule:
    """One rule of a model; made by `rule` or one of the functions below."""

    def __init__(self, check: Callable[[Any], Iterable[Problem]]) -> None:
        self._check = check

    def problems(self, instance: object) -> Iterator[Problem]:
        """What it finds in an object, as far as that is known."""
        try:
            yield from self._check(instance)
        except UnknownValueError:
            return


def rule(check: Callable[[Any], Iterable[Problem]]) -> Rule:
    """Make a method of a model a rule. It yields problems whose paths begin at the object."""
    return Rule(check)


def exactly_one_of(*names: str) -> Rule:
    """One of these attributes must be given, and no second one."""

    def check(instance: object) -> Iterator[Problem]:
        given = [name for name in names if getattr(instance, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            yield Problem(
                "Invalid combination", f"Expected exactly one of {', '.join(names)}, got {got}.", _last(given)
            )

    return Rule(check)


def at_most_one_of(*names: str) -> Rule:
    """These attributes exclude one another."""

    def check(instance: object) -> Iterator[Problem]:
        given = [name for name in names if getattr(instance, name) is not None]
        if len(given) > 1:
            got = " and ".join(given)
            yield Problem(
                "Invalid combination", f"Expected at most one of {', '.join(names)}, got {got}.", _last(given)
            )

    return Rule(check)


def together(*names: str) -> Rule:
    """Either all of these attributes are given, or none."""

    def check(instance: object) -> Iterator[Problem]:
        given = [name for name in names if getattr(instance, name) is not None]
        missing = [name for name in names if name not in given]
        if given and missing:
            detail = f"With {' and '.join(given)} also {' and '.join(missing)} must be given."
            yield Problem("Invalid combination", detail, given[0])

    return Rule(check)


def _last(given: list[str]) -> str:
    return given[-1] if given else ""
