# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Plain data out of JSON or YAML that a stranger may have written."""

from __future__ import annotations

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from attestation.policy import Policy
from constellation_cli.mapping import parse_mapping


@pytest.mark.parametrize(
    "text, value",
    [
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("false", False),
        ("12", 12),
        ("-12", -12),
        ("0", 0),
        ("012", "012"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1.5", "1.5"),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("0" * 64, "0" * 64),
        ("1" * 64, "1" * 64),
        ("", None),
        ("~", None),
        ("null", None),
        ("'12'", "12"),
        ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_yaml_means_what_it_looks_like(text: str, value: object) -> None:
    assert parse_mapping(f"key: {text}\n".encode()) == {"key": value}


def test_keys_may_be_numbers() -> None:
    assert parse_mapping(b"4: a\n'5': b\n") == {4: "a", "5": "b"}


@pytest.mark.parametrize(
    "text", ["? [a]\n: b\n", "{a: 1}: b", "~: a\n", "{a: 1, a: 2}", "a: {b: 1, b: 2}", "a: 1\n---\nb: 2\n"]
)
def test_what_hides_a_value_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_mapping(text.encode())


def test_a_merge_key_is_a_name_like_any_other() -> None:
    assert parse_mapping(b"<<: {a: 1}\n") == {"<<": {"a": 1}}


def test_yaml_and_json_give_the_same_policy() -> None:
    fields = {"variant": "qemu-vtpm", "measurements": {"12": {"expected": "0" * 64, "enforced": True}}}
    written = "variant: qemu-vtpm\nmeasurements:\n  12: {expected: " + "0" * 64 + ", enforced: true}\n"
    assert Policy.from_mapping(parse_mapping(written.encode())) == Policy.from_json(json.dumps(fields).encode())


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="ascii"), max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inside, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abcxyz_", min_size=1), PLAIN, max_size=4))
def test_both_notations_are_read_back(record: dict[str, object]) -> None:
    assert parse_mapping(json.dumps(record).encode()) == record
    assert parse_mapping(yaml.safe_dump(record, default_flow_style=False).encode()) == record


@given(st.text(max_size=200) | st.text("{}[]:,-&*!#|>'\"a1 \n\t", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(MalformedError):
        parse_mapping(text.encode("utf-8", "surrogatepass"))
