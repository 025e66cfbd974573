# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Results are read as ginkgo writes them."""

from __future__ import annotations

import pytest

from tests.conformance.junit import Outcome, Result, read_results

FRAME = '<testsuites><testsuite name="Kubernetes e2e suite">{}</testsuite></testsuites>'
BEFORE = '<testcase name="[SynchronizedBeforeSuite]" status="{}" time="1">{}</testcase>'


def case(status: str, inside: str = "") -> str:
    return f'<testcase name="[It] [sig-node] works" status="{status}" time="1.5">{inside}</testcase>'


@pytest.mark.parametrize(
    "text, outcome, reason",
    [
        (case("passed"), Outcome.PASSED, ""),
        (case("failed", '<failure message="no pod">at pods.go:1</failure>'), Outcome.FAILED, "no pod at pods.go:1"),
        (case("timedout"), Outcome.FAILED, "timedout"),
        (case("panicked", '<error message="nil"/>'), Outcome.FAILED, "nil"),
        (case("skipped", '<skipped message="skipped - needs a cloud"/>'), Outcome.SKIPPED, "skipped - needs a cloud"),
    ],
    ids=["passed", "failed", "out of time", "panic", "skips itself"],
)
def test_each_status_is_understood(text: str, outcome: Outcome, reason: str) -> None:
    results = read_results(FRAME.format(text).encode(), [])
    assert results == {"[sig-node] works": Result("[sig-node] works", outcome, 1.5, reason)}


@pytest.mark.parametrize(
    "document, reason",
    [
        (b"", "the run ended before this test"),
        (FRAME.format(case("skipped", '<skipped message="skipped"/>')).encode(), "the run ended before this test"),
        (
            FRAME.format(BEFORE.format("failed", '<failure message="no nodes"/>')).encode(),
            "[SynchronizedBeforeSuite]: no nodes",
        ),
    ],
    ids=["no file", "not chosen", "nothing could run"],
)
def test_what_did_not_run_is_told_with_its_reason(document: bytes, reason: str) -> None:
    expected = Result("[sig-node] works", Outcome.NOT_RUN, reason=reason)
    assert read_results(document, [expected.name]) == {expected.name: expected}
