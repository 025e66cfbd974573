# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks measure what they say: every subject is accepted, ours and the peer's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import measure, peer
from benchmarks.subject import AT, Subject
from benchmarks.subjects import SUBJECTS
from benchmarks.table import Promise, Row, as_markdown, as_text

if TYPE_CHECKING:
    from pathlib import Path

every_subject = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)


@every_subject
def test_subject_is_accepted(subject: Subject, vectors: Path) -> None:
    del vectors
    assert subject.verification()() is not False


@pytest.mark.slow
@every_subject
def test_peer_accepts_the_same(subject: Subject, vectors: Path) -> None:
    del vectors
    if subject.peer is None:
        pytest.skip("no peer verifies this")
    try:
        peer.build()
    except peer.PeersMissingError as error:
        pytest.skip(str(error))
    assert subject.peer.rate(subject.peer_files(), seconds=0.01, at=AT) > 0


def test_peer_is_named_with_the_version_that_is_built() -> None:
    assert peer.Peer(module="github.com/google/go-sev-guest", command="").label == "go-sev-guest 0.15.0"


def test_rate_counts_calls_of_processor_time() -> None:
    calls: list[None] = []
    speed = measure.rate(lambda: calls.append(None), seconds=0.01)
    # The first call is not counted, and the last one may end after the time is over.
    assert 0 < speed <= (len(calls) - 1) / 0.01


def test_medians_take_the_sides_in_turn() -> None:
    figures = iter([1.0, 10.0, 3.0, 30.0, 2.0, 20.0])
    side = figures.__next__
    assert measure.medians([side, side], rounds=3) == [2.0, 20.0]


def test_row_says_that_a_promise_is_not_kept() -> None:
    row = Row(what="report", ours="5/s", promises=(Promise("≥ 4/s", kept=True), Promise("≥ 2 × the peer", kept=False)))
    assert row.cells()[-2:] == ("≥ 4/s, ≥ 2 × the peer", "no")


def test_row_without_promise_says_nothing() -> None:
    assert Row(what="report", ours="5/s").cells() == ("report", "5/s", "–", "–", "–", "–")


def test_table_as_text_aligns_columns() -> None:
    assert as_text([Row(what="report", ours="5/s")]).splitlines()[1] == "report  5/s   –     –      –       –"


def test_table_as_markdown() -> None:
    lines = as_markdown([Row(what="report", ours="5/s")]).splitlines()
    assert lines[1:] == ["| --- | --- | --- | --- | --- | --- |", "| report | 5/s | – | – | – | – |"]
