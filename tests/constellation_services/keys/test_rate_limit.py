# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Somebody may ask a burst at once, then so often a second; others do not suffer for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_services.keys.rate_limit import Rate, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Iterable

RATE = Rate(per_second=10, burst=5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(clock=clock, capacity=3)


def taken(limiter: RateLimiter, names: Iterable[str]) -> list[bool]:
    return [limiter.take(name, RATE) == 0 for name in names]


def test_a_burst_goes_through_and_no_more(limiter: RateLimiter) -> None:
    assert taken(limiter, "a" * 7) == [True] * 5 + [False] * 2


def test_it_says_when_to_come_back(limiter: RateLimiter, clock: Clock) -> None:
    taken(limiter, "a" * 5)
    assert limiter.take("a", RATE) == pytest.approx(0.1)
    clock.now = 0.09
    assert limiter.take("a", RATE) == pytest.approx(0.01)
    clock.now = 0.1001
    assert taken(limiter, "aa") == [True, False]


def test_after_a_pause_there_is_a_burst_again(limiter: RateLimiter, clock: Clock) -> None:
    taken(limiter, "a" * 5)
    clock.now = 1.0
    assert taken(limiter, "a" * 6) == [True] * 5 + [False]


def test_names_have_buckets_of_their_own(limiter: RateLimiter) -> None:
    taken(limiter, "a" * 5)
    assert taken(limiter, "abab") == [False, True, False, True]


def test_what_is_refused_does_not_count(limiter: RateLimiter, clock: Clock) -> None:
    taken(limiter, "a" * 500)
    clock.now = 0.1001
    assert taken(limiter, "a") == [True]


def test_names_are_not_remembered_without_end(limiter: RateLimiter, clock: Clock) -> None:
    for number in range(100):
        clock.now += 0.01
        limiter.take(str(number), RATE)
        assert len(limiter._full_at) <= 3


def test_of_too_many_names_the_busiest_are_remembered(limiter: RateLimiter) -> None:
    taken(limiter, "aaaaabbbbbccccc" + "d")
    assert taken(limiter, "ab").count(False) >= 1
    assert len(limiter._full_at) == 3


@given(
    st.lists(st.floats(0, 2), max_size=80),
    st.floats(0.5, 50),
    st.integers(1, 20),
)
def test_nobody_ever_gets_more_than_burst_and_rate(pauses: list[float], per_second: float, burst: int) -> None:
    clock, rate, given_at = Clock(), Rate(per_second, burst), []
    limiter = RateLimiter(clock=clock)
    for pause in pauses:
        clock.now += pause
        if limiter.take("a", rate) == 0:
            given_at.append(clock.now)
    for first, start in enumerate(given_at):
        for count, end in enumerate(given_at[first:], 1):
            assert count <= burst + (end - start) * per_second + 1e-6
