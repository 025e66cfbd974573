# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate table comes from the host, so nothing in it is believed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from attestation.snp.certificate_table import MAX_SIZE, CertificateKind, TableEntry, parse_certificate_table
from attestation.testing.sev_guest import encode_table

if TYPE_CHECKING:
    from collections.abc import Callable

VCEK, VLEK, ASK, ARK = CertificateKind.VCEK, CertificateKind.VLEK, CertificateKind.ASK, CertificateKind.ARK
WHOLE = encode_table({VCEK.value.bytes: b"vcek", ASK.value.bytes: b"ask", ARK.value.bytes: b"ark"})


def by_kind(table: bytes) -> dict[CertificateKind | None, bytes]:
    return {entry.kind: entry.data for entry in parse_certificate_table(table)}


def test_every_certificate_is_found() -> None:
    assert by_kind(WHOLE) == {VCEK: b"vcek", ASK: b"ask", ARK: b"ark"}


def test_the_buffer_may_be_longer_than_the_table() -> None:
    assert by_kind(WHOLE.ljust(16384, b"\0")) == by_kind(WHOLE)


@pytest.mark.parametrize("kind", CertificateKind)
def test_guids_are_read_in_both_byte_orders(kind: CertificateKind) -> None:
    assert by_kind(encode_table({kind.value.bytes: b"x"})) == {kind: b"x"}
    assert by_kind(encode_table({kind.value.bytes_le: b"x"})) == {kind: b"x"}


@pytest.mark.parametrize("empty", [b"", bytes(24), bytes(16384)])
def test_a_host_may_have_no_certificates(empty: bytes) -> None:
    assert parse_certificate_table(empty) == ()


def test_an_unknown_entry_is_kept() -> None:
    assert parse_certificate_table(encode_table({b"\xab" * 16: b"x"})) == (TableEntry(b"\xab" * 16, None, b"x"),)


def test_two_of_a_kind_are_refused() -> None:
    table = encode_table({VCEK.value.bytes: b"1", VCEK.value.bytes_le: b"2"})
    with pytest.raises(MalformedError, match="same kind"):
        parse_certificate_table(table)


@pytest.mark.parametrize("offset, length", [(48, 5), (0xFFFFFFFF, 1), (0, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_a_certificate_outside_is_refused(offset: int, length: int) -> None:
    entry = VCEK.value.bytes + offset.to_bytes(4, "little") + length.to_bytes(4, "little")
    with pytest.raises(MalformedError, match="outside"):
        parse_certificate_table(entry + bytes(24) + b"vcek")


def test_a_table_that_ends_inside_an_entry_is_refused() -> None:
    with pytest.raises(MalformedError, match="truncated"):
        parse_certificate_table(VCEK.value.bytes + bytes(8) + bytes(23))


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(MalformedError, match="entries"):
        parse_certificate_table(encode_table({bytes([number]) * 16: b"" for number in range(1, 40)}))


def test_a_large_blob_is_refused_at_once(least_time: Callable[[Callable[[], object]], float]) -> None:
    garbage = os.urandom(1 << 20)

    def refuse() -> None:
        with pytest.raises(MalformedError, match=str(MAX_SIZE)):
            parse_certificate_table(garbage)

    assert least_time(refuse) < 0.01


@given(st.binary(max_size=200) | st.integers(0, len(WHOLE)).map(lambda size: WHOLE[:size]))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        entries = parse_certificate_table(data)
    except MalformedError:
        return
    assert all(entry.data in data for entry in entries)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_any_flipped_byte_is_read_or_malformed(index: int, flip: int) -> None:
    data = bytearray(WHOLE)
    data[index] ^= flip
    try:
        parse_certificate_table(bytes(data))
    except MalformedError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, an exception of another kind is not


@given(st.binary(min_size=1, max_size=64))
def test_what_follows_the_table_does_not_matter(more: bytes) -> None:
    assert by_kind(WHOLE + more) == by_kind(WHOLE)
