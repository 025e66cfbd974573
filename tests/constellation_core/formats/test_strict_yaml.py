# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""YAML that means what it looks like: what we write is what we, and others, read."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from constellation_core.strict_yaml import dump_yaml, load_yaml

TEXT = st.text(st.characters(codec="utf-8"), max_size=30) | st.text(
    " \t\r\n\x85\u2028\u2029\ufeff#:-'\"|>", max_size=10
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | TEXT,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXT | st.integers(0, 99), inside, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_what_is_written_is_read_back(record: object) -> None:
    assert load_yaml(dump_yaml(record)) == record


@given(PLAIN)
def test_other_readers_read_the_same(record: object) -> None:
    assert yaml.safe_load(dump_yaml(record)) == record


@pytest.mark.parametrize(
    "word", ["off", "yes", "null", "12", "012", "0x10", "1.5", "2026-01-31", "1:30", "1_000", "~", ""]
)
def test_a_text_that_looks_like_something_else_stays_a_text(word: str) -> None:
    assert yaml.safe_load(dump_yaml({"key": word})) == {"key": word}


def test_the_same_value_twice_is_no_alias() -> None:
    shared = {"a": 1}
    assert load_yaml(dump_yaml([shared, shared])) == [shared, shared]


def test_lines_stay_lines() -> None:
    assert dump_yaml({"document": '{\n  "a": 1\n}\n'}) == 'document: |\n  {\n    "a": 1\n  }\n'


@pytest.mark.parametrize(
    "text, reason",
    [
        ("a: 1\na: 2", "'a' appears twice"),
        ("&x a: *x", "alias"),
        ("!!str a", "tag"),
        ("[" * 20 + "]" * 20, "deeper than 16"),
        ("a: b: c", r"line 1"),
        ("? [a]\n: b", "is not a name"),
        ("a: 1\n---\na: 1", "not YAML"),
        ("'", "not YAML"),
        ("\x07", "not YAML"),
        ("\ud800", "not YAML"),
        ("a" * 11, "11 bytes of YAML, at most 10"),
    ],
)
def test_what_hides_something_is_refused(text: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        load_yaml(text, max_size=10 if reason.startswith("11") else 100)
