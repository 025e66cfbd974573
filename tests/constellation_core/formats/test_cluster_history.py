# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The history of join-config: the last five, each once, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.cluster_history import KEPT, Revision, record_history, revisions


def recorded(*texts: str) -> dict[str, str]:
    data: dict[str, str] = {}
    for text in texts:
        data = record_history(data, text) or data
    return data


def test_revisions_count_up_from_one() -> None:
    assert recorded("a", "b") == {"1": "a", "2": "b"}


def test_saying_it_twice_is_saying_it_once() -> None:
    assert record_history(recorded("a"), "a") is None


def test_going_back_is_a_new_revision() -> None:
    assert recorded("a", "b", "a") == {"1": "a", "2": "b", "3": "a"}


def test_the_last_five_are_kept_and_numbers_go_on() -> None:
    assert recorded(*"abcdefghijkl") == {"8": "h", "9": "i", "10": "j", "11": "k", "12": "l"}


def test_numbers_are_numbers_and_no_texts() -> None:
    assert revisions({"10": "b", "9": "a"}) == (Revision(9, "a"), Revision(10, "b"))


@pytest.mark.parametrize("data", [None, {}])
def test_there_may_be_none(data: dict[str, str] | None) -> None:
    assert revisions(data) == ()
    assert record_history(data, "a") == {"1": "a"}


@given(st.dictionaries(st.text(max_size=3) | st.integers().map(str), st.text(max_size=1)), st.text(max_size=1))
def test_whatever_is_there_the_last_one_is_what_was_recorded(data: dict[str, str], text: str) -> None:
    after = record_history(data, text)
    found = revisions(data if after is None else after)
    assert found[-1].text == text
    assert after is None or len(after) <= KEPT
