# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting ends when everything is true, and says what was missing when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import pytest

from constellation_core.conditions import Condition, wait_for, wait_for_async
from constellation_core.errors import ConditionTimeoutError

Wait = Callable[..., None]


def wait_in_a_loop(conditions: Iterable[Condition], **options: object) -> None:
    asyncio.run(wait_for_async(conditions, **options))  # type: ignore[arg-type] # the caller's options


@pytest.fixture(params=[wait_for, wait_in_a_loop], ids=["sync", "async"])
def wait(request: pytest.FixtureRequest) -> Wait:
    """Both ways to wait: they promise the same."""
    found: Wait = request.param
    return found


def says(*words: str | None) -> Callable[[], str | None]:
    """A check that says one thing after the other, and the last for ever."""
    left = list(words)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def raises(error: Exception) -> Callable[[], str | None]:
    def check() -> str | None:
        raise error

    return check


def test_nothing_to_wait_for(wait: Wait) -> None:
    wait([], timeout=0.05)


def test_what_is_true_is_not_waited_for(wait: Wait) -> None:
    wait([Condition("true", says(None))], timeout=0.05)


def test_waits_until_it_is_true(wait: Wait) -> None:
    wait([Condition("third time", says("one", "two", None))], timeout=10)


def test_the_error_says_what_each_last_said(wait: Wait) -> None:
    conditions = [Condition("a", says("no", "not yet")), Condition("b", says(None)), Condition("c", says("never"))]
    with pytest.raises(ConditionTimeoutError) as caught:
        wait(conditions, timeout=0.05)
    message = "gave up after 0.05 s waiting until a (last said: not yet) and c (last said: never)"
    assert str(caught.value) == message
    assert caught.value.said == {"a": "not yet", "c": "never"}


def test_what_was_true_once_is_not_asked_again(wait: Wait) -> None:
    fickle = Condition("fickle", says(None, "not any more"))
    wait([fickle, Condition("slow", says("1", "2", None))], timeout=10)


def test_an_error_that_means_not_yet(wait: Wait) -> None:
    refused = Condition("reachable", raises(ConnectionRefusedError("refused")), not_yet=(OSError,))
    with pytest.raises(ConditionTimeoutError, match="last said: refused"):
        wait([refused], timeout=0.05)


def test_an_error_without_words_says_its_name(wait: Wait) -> None:
    with pytest.raises(ConditionTimeoutError, match="last said: ConnectionResetError"):
        wait([Condition("reachable", raises(ConnectionResetError()), not_yet=(OSError,))], timeout=0.05)


def test_any_other_error_ends_the_waiting(wait: Wait) -> None:
    with pytest.raises(ZeroDivisionError):
        wait([Condition("broken", raises(ZeroDivisionError())), Condition("never", says("no"))], timeout=10)


def test_a_timeout_of_the_check_is_an_error_like_others(wait: Wait) -> None:
    with pytest.raises(TimeoutError):
        wait([Condition("broken", raises(TimeoutError("its own")))], timeout=10)


def test_progress_tells_only_what_is_new(wait: Wait) -> None:
    told: list[tuple[str, str]] = []
    wait([Condition("x", says("a", "a", "b", None))], timeout=10, progress=lambda *news: told.append(news))
    assert told == [("x", "a"), ("x", "b"), ("x", "")]


def test_a_coroutine_needs_a_loop() -> None:
    async def check() -> None:
        """Be true."""

    with pytest.raises(TypeError, match="wait_for_async"):
        wait_for([Condition("async", check)], timeout=0.05)


async def test_checks_run_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def meet() -> None:
        await met.wait()

    await wait_for_async([Condition("one", meet), Condition("two", meet)], timeout=10)


async def test_a_check_that_hangs_is_cut_off() -> None:
    with pytest.raises(ConditionTimeoutError, match=r"hangs \(last said: nothing\)"):
        await wait_for_async([Condition("hangs", asyncio.Event().wait)], timeout=0.05)  # type: ignore[arg-type]


async def test_nothing_is_left_running_behind_an_error() -> None:
    cancelled = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(ConditionTimeoutError):
        await wait_for_async([Condition("slow", slow)], timeout=0.02)
    assert cancelled.is_set()
