# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for named conditions, never for time.

    ready = Condition("the API server is ready", what_is_missing, not_yet=(OSError,))
    wait_for([ready], timeout=30)

    ConditionTimeoutError: gave up after 30 s waiting until the API server is ready (last said: connection refused)

A condition is asked again and again, more slowly each time. What it says meanwhile is shown to whoever waits and is in
the error in the end, so that nobody has to guess what a program hung on.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from constellation_core.errors import ConditionTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

FIRST_PAUSE: Final = 0.01  # seconds between the first two looks
LONGEST_PAUSE: Final = 0.5  # seconds
SLOWER: Final = 1.5  # factor from one pause to the next
NEVER_ANSWERED: Final = "nothing"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that becomes true.

    Attributes:
        name: what is true then, for people: "the API server is ready".
        check: gives None when it is true, otherwise what is missing, in a few words. It may be a coroutine function.
        not_yet: exceptions of `check` that mean "not yet"; any other ends the waiting.
    """

    name: str
    check: Callable[[], str | Awaitable[str | None] | None]
    not_yet: tuple[type[Exception], ...] = ()


def wait_for(
    conditions: Iterable[Condition], *, timeout: float, progress: Callable[[str, str], None] | None = None
) -> None:
    """Wait until all conditions are true. Each is asked at least once, and not again when it was true.

    Args:
        conditions: what to wait for; their checks are no coroutine functions.
        timeout: seconds; a check that is running is not interrupted.
        progress: told the name of a condition and what it says, whenever that changes; "" when it is true.

    Raises:
        ConditionTimeoutError: the time is over; says what each condition last said.
    """
    waiting = _Waiting(conditions, progress)
    deadline = time.monotonic() + timeout
    for pause in _pauses():
        for condition in waiting.open:
            waiting.note(condition, _ask(condition))
        if not waiting.open:
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise waiting.error(timeout)
        time.sleep(min(pause, left))


async def wait_for_async(
    conditions: Iterable[Condition],
    *,
    timeout: float,  # noqa: ASYNC109 - asyncio.timeout does not know what is still missing
    progress: Callable[[str, str], None] | None = None,
) -> None:
    """Wait until all conditions are true, as `wait_for`. Their checks run side by side.

    Args:
        conditions: what to wait for; checks that are no coroutine functions must be quick.
        timeout: seconds, more than 0; checks that are running then are cancelled.
        progress: as for `wait_for`.

    Raises:
        ConditionTimeoutError: the time is over; says what each condition last said.
    """
    waiting = _Waiting(conditions, progress)
    try:
        async with asyncio.timeout(timeout) as limit:
            for pause in _pauses():
                looks = [waiting.ask(condition) for condition in waiting.open]
                # All of a round come to their end before an error of one of them ends the waiting.
                for failure in await asyncio.gather(*looks, return_exceptions=True):
                    if failure is not None:
                        raise failure
                if not waiting.open:
                    return
                await asyncio.sleep(pause)
    except TimeoutError:
        if not limit.expired():  # it is the check's own
            raise
        raise waiting.error(timeout) from None


@dataclass(slots=True)
class _Waiting:
    """What has been said while waiting."""

    conditions: Iterable[Condition]
    progress: Callable[[str, str], None] | None
    said: dict[Condition, str] = field(init=False)

    def __post_init__(self) -> None:
        self.said = dict.fromkeys(self.conditions, NEVER_ANSWERED)

    @property
    def open(self) -> tuple[Condition, ...]:
        """Conditions that are not true yet."""
        return tuple(self.said)

    async def ask(self, condition: Condition) -> None:
        """Ask one condition, whichever kind it is."""
        try:
            answer = condition.check()
            self.note(condition, await answer if inspect.isawaitable(answer) else answer)
        except condition.not_yet as error:
            self.note(condition, _words(error))

    def note(self, condition: Condition, said: str | None) -> None:
        """Keep what a condition says, and tell of it if it is news."""
        if self.progress and said != self.said[condition]:
            self.progress(condition.name, said or "")
        if said is None:
            del self.said[condition]
        else:
            self.said[condition] = said

    def error(self, timeout: float) -> ConditionTimeoutError:
        """Say what each open condition last said."""
        said = {condition.name: words for condition, words in self.said.items()}
        return ConditionTimeoutError(timeout, said)


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * SLOWER, LONGEST_PAUSE)


def _ask(condition: Condition) -> str | None:
    try:
        answer = condition.check()
    except condition.not_yet as error:
        return _words(error)
    if answer is None or isinstance(answer, str):
        return answer
    if inspect.iscoroutine(answer):
        answer.close()  # it will never be awaited, and nobody has to be warned of that too
    message = f"the check of {condition.name!r} is a coroutine function: use wait_for_async"
    raise TypeError(message)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
