# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Read what ginkgo writes of a run (JUnit XML, as `github.com/onsi/ginkgo/v2/reporters` has it), test by test."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_TEST: Final = "[It] "
_NOT_CHOSEN: Final = "skipped"  # of a test that begins to run and then skips itself, a reason follows
_SHOWN: Final = 2000  # characters of a reason


class Outcome(StrEnum):
    """What became of a test."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped itself"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Result:
    """One test.

    Attributes:
        name: full name.
        outcome: what became of it.
        seconds: that it took.
        reason: why it did not pass.
    """

    name: str
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""


def read_results(document: bytes, names: Iterable[str]) -> Mapping[str, Result]:
    """Read the results of tests.

    Args:
        document: the file; empty if there is none.
        names: of the tests that were to run.

    Returns:
        A result for each of the names, and for each other test that ran.
    """
    cases = list(ET.fromstring(document).iter("testcase")) if document else []
    ran = {result.name: result for case in cases if (result := _result(case))}
    broken = "; ".join(_broken(cases)) or "the run ended before this test"
    absent = {name: Result(name, Outcome.NOT_RUN, reason=broken) for name in names if name not in ran}
    return {**ran, **absent}


def _result(case: ET.Element) -> Result | None:
    name, seconds = case.get("name", ""), float(case.get("time", "0"))
    if not name.startswith(_TEST):
        return None  # what runs before or after all tests
    name = name.removeprefix(_TEST)
    match case.get("status"):
        case "passed":
            return Result(name, Outcome.PASSED, seconds)
        case "skipped" | "pending":
            reason = _reason(case, "skipped")
            return None if reason == _NOT_CHOSEN else Result(name, Outcome.SKIPPED, seconds, reason)
        case status:
            return Result(name, Outcome.FAILED, seconds, _reason(case, "failure", "error") or str(status))


def _broken(cases: Iterable[ET.Element]) -> Iterator[str]:
    """Give reasons of what failed before or after all tests."""
    for case in cases:
        name = case.get("name", "")
        if not name.startswith(_TEST) and (reason := _reason(case, "failure", "error")):
            yield f"{name}: {reason}"


def _reason(case: ET.Element, *kinds: str) -> str:
    found = (element for kind in kinds for element in case.iter(kind))
    return " ".join(filter(None, (part for one in found for part in (one.get("message"), one.text))))[:_SHOWN].strip()
