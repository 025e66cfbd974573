# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reading LUKS2 headers: ours is read, anything else is refused with our error."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from node_agent.disk.header import parse_header
from tests.node_agent.disk.headers import (
    COPY_SIZE,
    FIRST_MAGIC,
    SECOND_MAGIC,
    UUID_TEXT,
    recorded,
    write_area,
    write_copy,
)

TEXT = json.dumps(recorded()).encode()
AREA = write_area(recorded())[: 2 * COPY_SIZE]


def test_ours_is_read() -> None:
    header = parse_header(AREA)
    assert (header.uuid, header.label, header.subsystem) == (UUID(UUID_TEXT), "constellation-state", "")
    assert header.metadata == recorded()
    assert header.tokens["0"]["cluster"] == "abc"


def test_copies_that_differ_are_refused() -> None:
    other = recorded()
    other["segments"]["0"]["sector_size"] = 512
    mixed = write_area(recorded())[:COPY_SIZE] + write_area(other)[COPY_SIZE : 2 * COPY_SIZE]
    with pytest.raises(MalformedError, match="differ"):
        parse_header(mixed)


@pytest.mark.parametrize("damaged", [0, COPY_SIZE], ids=["first", "second"])
def test_a_damaged_copy_is_refused_though_the_other_is_whole(damaged: int) -> None:
    area = bytearray(AREA)
    area[damaged + 5000] ^= 1
    with pytest.raises(MalformedError, match="checksum"):
        parse_header(bytes(area))


@pytest.mark.parametrize(
    "text, expected",
    [
        (TEXT + b"\0{}", "behind its JSON"),
        (TEXT.replace(b'"config"', b'"tokens"'), "twice"),
        (b"[]", "not a JSON object"),
        (b'{"a": NaN}', "not a value"),
        (b"[" * 5000, "nested too deep"),
        (b"", "not JSON"),
        (b'{"keyslots": "\xff"}', "not JSON"),
    ],
)
def test_json_that_readers_could_take_for_different_things_is_refused(text: bytes, expected: str) -> None:
    area = write_copy(text, FIRST_MAGIC, 0) + write_copy(text, SECOND_MAGIC, COPY_SIZE)
    with pytest.raises(MalformedError, match=expected):
        parse_header(area)


@pytest.mark.parametrize("uuid", ["", "adeab87c", UUID_TEXT.upper(), f"{{{UUID_TEXT}}}"])
def test_a_uuid_in_another_form_is_refused(uuid: str) -> None:
    with pytest.raises(MalformedError, match="UUID"):
        parse_header(write_area(recorded(), uuid=uuid))


@given(position=st.integers(0, len(AREA) - 1), value=st.integers(1, 255))
def test_no_flipped_bit_is_overlooked(position: int, value: int) -> None:
    area = bytearray(AREA)
    area[position] ^= value
    with pytest.raises(MalformedError):
        parse_header(bytes(area))


@given(st.integers(0, len(AREA) - 1))
def test_a_truncated_header_is_refused(length: int) -> None:
    with pytest.raises(MalformedError):
        parse_header(AREA[:length])


@given(st.binary(max_size=3 * COPY_SIZE))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_header(noise)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["keyslots", "tokens", "segments", "digests", "config", "x"]), JSON))
def test_any_object_is_read_as_it_is(metadata: dict[str, object]) -> None:
    try:
        assert parse_header(write_area(metadata)).metadata == metadata
    except MalformedError as error:
        assert "nested too deep" in str(error)  # noqa: PT017 - the only reason that is left
