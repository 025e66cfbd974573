# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which changes are words, and which are not."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from attestation import errors, verdict
from tests.mutation.wording import SPEAKERS, WORDS, without_words

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE = """
LIMIT = 4

def check(value, findings):
    got = value.hex() if value else "nothing"
    length = len(value)
    if length > LIMIT:
        raise NotGenuineError("demo.length", expected=f"at most {LIMIT}", got=got, hint=_hint(value))
    if length == 0:
        raise MalformedError(f"{length} bytes")
    if value[0] == 1:
        another = _either(value)
        findings.refuse("demo.first", expected=another, got="one")
    if value[0] == 2:
        findings.warn("two")
    if value[0] == 3:
        raise _wrong("demo.third", "another", got)
    if value[0] == 4:
        raise _forged("fourth", "not so", got)
    _expect(value, "a value")

def _hint(value):
    return "longer" if len(value) > 9 else "shorter"

def _either(values):
    return " or ".join(map(str, values))

def _wrong(name: str, expected: str, got: str) -> PolicyError:
    return PolicyError(f"{name}: expected {expected}, got {got}")

def _forged(name: str, expected: str, got: str) -> NotGenuineError:
    return NotGenuineError(f"demo.{name}", expected=expected, got=got)

def _expect(value, what):
    if value[-1]:
        raise MalformedError(f"{what} ends in zero")
"""


def same(before: str, after: str) -> bool:
    assert MODULE.count(before) == 1
    return without_words(MODULE.replace(before, after)) == without_words(MODULE)


@pytest.mark.parametrize(
    "before, after",
    [
        ('f"at most {LIMIT}"', "None"),
        ("got=got, hint=_hint(value)", "got=None, hint=None"),
        (", hint=_hint(value)", ""),
        ('value.hex() if value else "nothing"', "None"),
        ('f"{length} bytes"', '"XX"'),
        ('expected=another, got="one"', 'expected="XX", got="XX"'),
        ("another = _either(value)", "another = None"),
        ('"two"', '"XX"'),
        ('"demo.third", "another", got)', "None, None, None)"),
        ('"fourth", "not so", got)', '"fourth", None, None)'),
        ('"longer" if len(value) > 9', '"XX" if len(value) < 8'),
        ('" or ".join', '"XX".join'),
        ('f"{name}: expected {expected}, got {got}"', "None"),
        ('_expect(value, "a value")', "_expect(value, None)"),
        ('f"{what} ends in zero"', '""'),
    ],
)
def test_words(before: str, after: str) -> None:
    assert same(before, after)


@pytest.mark.parametrize(
    "before, after",
    [
        ('"demo.length"', "None"),
        ('"demo.first"', '"XXdemo.first"'),
        ('"fourth"', '"XX"'),
        ('f"demo.{name}"', "name"),
        ("length > LIMIT", "length >= LIMIT"),
        ("LIMIT = 4", "LIMIT = 5"),
        ("length = len(value)", "length = 1"),
        ('raise MalformedError(f"{length}', 'MalformedError(f"{length}'),
        ('MalformedError(f"{length}', 'ValueError(f"{length}'),
        ('findings.warn("two")', "pass"),
        ('findings.warn("two")', "findings.warn()"),
        (', expected=another, got="one"', ', got="one"'),
        ('_expect(value, "a value")', "pass"),
        ('_expect(value, "a value")', '_expect(None, "a value")'),
        ("if value[-1]:", "if True:"),
    ],
)
def test_more_than_words(before: str, after: str) -> None:
    assert not same(before, after)


def test_a_call_that_may_refuse_does_more_than_compose() -> None:
    module = "def check(data):\n    got = parse(data)\n    if not data:\n        raise MalformedError(f'{got}')\n"
    assert without_words(module) != without_words(module.replace("parse(data)", "None"))


KNOWN: dict[str, Callable[..., object]] = {
    **{name: kind for name, kind in vars(errors).items() if name.endswith("Error")},
    "Mismatch": verdict.Mismatch,
    "refuse": verdict.Findings.refuse,
    "warn": verdict.Findings.warn,
}


@pytest.mark.parametrize("name", KNOWN)
def test_speakers_have_the_parameters_that_the_rule_knows(name: str) -> None:
    parameters = [one for one in inspect.signature(KNOWN[name]).parameters.values() if one.name != "self"]
    positional = [one.name for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert list(SPEAKERS.get(name, ("message",))) == positional
    assert {one.name for one in parameters}.difference(positional) <= WORDS
