# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""CBOR is read within bounds, and only one spelling of structure passes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.aws.cbor import MAX_ITEMS, MAX_SIZE, Major, Tagged, encode_bytes, encode_head, encode_text, parse_cbor
from attestation.errors import MalformedError

if TYPE_CHECKING:
    from attestation.aws.cbor import CborValue

# RFC 8949, appendix A: those that this reader reads.
EXAMPLES: list[tuple[str, CborValue]] = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1000000),
    ("1b000000e8d4a51000", 1000000000000),
    ("1bffffffffffffffff", 2**64 - 1),
    ("20", -1),
    ("3903e7", -1000),
    ("3bffffffffffffffff", -(2**64)),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("40", b""),
    ("4401020304", b"\1\2\3\4"),
    ("60", ""),
    ("6449455446", "IETF"),
    ("62c3bc", "ü"),
    ("80", []),
    ("83010203", [1, 2, 3]),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("c11a514b67b0", Tagged(1, 1363896240)),
]

REFUSED = {
    "nothing": "",
    "indefinite_bytes": "5f42010243030405ff",
    "indefinite_array": "9fff",
    "indefinite_map": "bf61610161629f0203ffff",
    "break_alone": "ff",
    "half_precision": "f90000",
    "double_precision": "fb3ff199999999999a",
    "undefined": "f7",
    "simple_value_16": "f0",
    "reserved_length": "1c",
    "trailing_byte": "0000",
    "truncated_argument": "19ff",
    "truncated_bytes": "4401",
    "truncated_array": "8301",
    "text_not_utf8": "61ff",
    "key_twice": "a201020103",
    "key_is_bytes": "a1400102",
    "key_is_true": "a1f501",
    "map_of_2_to_64": "bbffffffffffffffff",
    "array_too_long": encode_head(Major.ARRAY, MAX_ITEMS + 1).hex() + "00" * (MAX_ITEMS + 1),
    "nested_too_deep": "81" * 8 + "00",
}


@pytest.mark.parametrize("encoded, value", EXAMPLES)
def test_examples_of_the_rfc(encoded: str, value: CborValue) -> None:
    assert parse_cbor(bytes.fromhex(encoded), "example") == value


@pytest.mark.parametrize("encoded", REFUSED.values(), ids=REFUSED.keys())
def test_refused(encoded: str) -> None:
    with pytest.raises(MalformedError):
        parse_cbor(bytes.fromhex(encoded), "example")


def test_size_is_limited() -> None:
    with pytest.raises(MalformedError, match="at most"):
        parse_cbor(encode_bytes(bytes(MAX_SIZE)), "example")


def encode(value: object) -> bytes:
    match value:
        case bytes():
            return encode_bytes(value)
        case str():
            return encode_text(value)
        case list():
            return encode_head(Major.ARRAY, len(value)) + b"".join(map(encode, value))
        case dict():
            pairs = b"".join(encode(key) + encode(item) for key, item in value.items())
            return encode_head(Major.MAP, len(value)) + pairs
        case int() if not isinstance(value, bool):
            return encode_head(*((Major.UNSIGNED, value) if value >= 0 else (Major.NEGATIVE, -1 - value)))
    return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]  # type: ignore[index]


numbers = st.integers(-(2**64), 2**64 - 1)
leaves = st.none() | st.booleans() | numbers | st.binary(max_size=40) | st.text(max_size=40)


def containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=4) | st.dictionaries(numbers | st.text(max_size=8), inner, max_size=4)


values = leaves | containers(leaves | containers(leaves | containers(leaves)))


@given(values)
def test_what_is_written_is_read(value: object) -> None:
    assert parse_cbor(encode(value), "example") == value


@given(st.binary(max_size=200))
def test_garbage_gives_a_value_or_our_error(data: bytes) -> None:
    with suppress(MalformedError):
        parse_cbor(data, "garbage")


@given(values, st.data())
def test_truncated_is_refused(value: object, data: st.DataObject) -> None:
    encoded = encode(value)
    with pytest.raises(MalformedError):
        parse_cbor(encoded[: data.draw(st.integers(0, len(encoded) - 1))], "truncated")
