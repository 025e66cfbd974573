# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the fakes write, the library's own reader reads."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.der import Tag, parse_der
from attestation.testing import der

MOMENTS = st.datetimes(datetime(1950, 1, 1), datetime(2300, 1, 1)).map(  # noqa: DTZ001 - the zone is set below
    lambda at: at.replace(microsecond=0, tzinfo=UTC),
)


@given(st.integers(min_value=0, max_value=1 << 4096))
def test_integers(value: int) -> None:
    assert parse_der(der.integer(value)).integer() == value


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535])
def test_lengths(size: int) -> None:
    assert parse_der(der.octets(bytes(size))).octets() == bytes(size)


@pytest.mark.parametrize(
    "dotted", ["1.3.6.1.4.1.3704.1.3.8", "2.5.29.19", "2.16.840.1.101.3.4.2.2", "0.9.2342", "2.999"]
)
def test_object_identifiers(dotted: str) -> None:
    assert parse_der(der.oid(dotted)).oid() == dotted


@given(MOMENTS)
def test_times(at: datetime) -> None:
    element = parse_der(der.time(at))
    assert element.time() == at
    assert element.tag == (Tag.UTC_TIME if at.year < 2050 else Tag.GENERALIZED_TIME)


def test_booleans_and_bits() -> None:
    assert parse_der(der.boolean(value=True)).boolean() is True
    assert parse_der(der.boolean(value=False)).boolean() is False
    assert parse_der(der.bits(b"\x06", unused=1)).value == b"\x01\x06"
