# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever the bytes: a prediction, or an error of our own tree, and quickly."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attestation.errors import AttestationError
from attestation.measured_boot.predict import predict
from attestation.testing.uki import FakeUki

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = FakeUki().build()
HEADERS = 1024  # everything that is parsed lies before this, in the image and in its kernel
KERNEL = IMAGE.rindex(b"MZ")


def predict_or_refuse(image: bytes) -> None:
    with contextlib.suppress(AttestationError):
        predict(image)


@given(st.binary(max_size=4096))
@example(b"MZ")
def test_garbage(data: bytes) -> None:
    predict_or_refuse(data)


@given(st.integers(0, len(IMAGE)))
def test_truncation(size: int) -> None:
    predict_or_refuse(IMAGE[:size])


@given(st.binary(min_size=1, max_size=64))
def test_extension(tail: bytes) -> None:
    assert predict(IMAGE + tail).registers[4] != predict(IMAGE).registers[4]


@given(st.sampled_from([0, KERNEL]), st.integers(0, HEADERS - 1), st.binary(min_size=1, max_size=8))
def test_changed_headers(start: int, offset: int, change: bytes) -> None:
    image = bytearray(IMAGE)
    image[start + offset : start + offset + len(change)] = change
    predict_or_refuse(bytes(image))


@given(st.integers(0, HEADERS - 4), st.sampled_from([0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]))
def test_extreme_numbers_in_headers(offset: int, number: int) -> None:
    image = bytearray(IMAGE)
    image[offset : offset + 4] = number.to_bytes(4, "little")
    predict_or_refuse(bytes(image))


@given(st.integers(0, 8 * len(IMAGE) - 1))
def test_a_flipped_bit_is_seen_or_refused(bit: int) -> None:
    image = bytearray(IMAGE)
    image[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(AttestationError):
        assert predict(bytes(image)).uki_sha256 != predict(IMAGE).uki_sha256


@pytest.mark.parametrize("begin", [b"", b"MZ"])
def test_a_mebibyte_of_garbage_is_refused_in_ten_milliseconds(
    begin: bytes, least_time: Callable[[Callable[[], object]], float]
) -> None:
    garbage = begin + random.Random(1).randbytes(1024 * 1024)
    assert least_time(lambda: predict_or_refuse(garbage)) < 0.01
