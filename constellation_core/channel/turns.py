# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is to cost our device a signature.

A TPM signs one thing at a time, slowly, and whoever asks costs it a signature before proving anything. So every
signature for a stranger, whatever it is for, is a turn, and turns are given

1. one at a time (attack: a queue at the device that nobody sees),
2. not more often than a rate, with a burst after a pause (attack: wear the device out),
3. by lanes, one for each source address, in rotation (attack: one address asks so often that nobody else is heard),
4. to at most so many that wait, few of them in one lane, and nobody waits for ever (attack: fill the memory),
5. to loopback before all others: who comes from there was let in by somebody else, as by `kubectl port-forward`.

Whoever controls more addresses than there are places can still keep others out for as long as it goes on: 5 is the way
around.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from constellation_core.channel.lanes import Lane
from constellation_core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLimits:
    """How many turns there are.

    Attributes:
        per_second: turns, for ever.
        burst: turns at once, after a pause.
        waiting: peers that wait.
        lane: peers that wait in one lane.
        patience: seconds that a peer waits.
    """

    per_second: float = 4.0
    burst: int = 16
    waiting: int = 32
    lane: int = 4
    patience: float = 20.0


class Turns:
    """Gives turns.

    Args:
        limits: how many there are.
        clock: seconds, monotonic.
    """

    def __init__(self, limits: TurnLimits | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits or TurnLimits()
        self._clock = clock
        self._credit = float(self._limits.burst)  # turns that may be given now
        self._credited = clock()
        self._lanes: OrderedDict[Lane, deque[asyncio.Future[None]]] = OrderedDict()
        self._served: Lane | None = None  # whose turn it is
        self._alarm: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Count those who wait."""
        return sum(map(len, self._lanes.values()))

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for as long as the block runs.

        Args:
            address: where the peer comes from: an IP address, or any other name of a lane.

        Raises:
            BusyError: too many wait already, or the turn did not come in time.
        """
        await self._wait(Lane.of(address))
        try:
            yield
        finally:
            self._end()

    async def _wait(self, lane: Lane) -> None:
        waiter = self._line_up(lane)
        self._give()
        try:
            async with asyncio.timeout(self._limits.patience):
                await waiter
        except BaseException as error:
            self._leave(lane, waiter)
            if isinstance(error, TimeoutError):
                raise self._busy(f"no turn within {self._limits.patience:g} s") from None
            raise

    def _line_up(self, lane: Lane) -> asyncio.Future[None]:
        self._forget_who_left()
        before = len(self._lanes.get(lane, ()))
        if before >= self._limits.lane:
            raise self._busy(f"{before} requests of this address wait already")
        if len(self) >= self._limits.waiting:
            self._make_room(lane)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(lane, deque()).append(waiter)
        return waiter

    def _make_room(self, newcomer: Lane) -> None:
        """Send away who came last in the longest lane, if the newcomer has a better right."""
        longest = max(self._lanes, key=lambda lane: (lane.outside, len(self._lanes[lane])))
        shorter = len(self._lanes.get(newcomer, ())) + 1 < len(self._lanes[longest])
        if newcomer.outside > longest.outside or (newcomer.outside == longest.outside and not shorter):
            raise self._busy(f"{len(self)} requests wait already")
        sent_away = self._lanes[longest][-1]
        self._remove(longest, sent_away)
        sent_away.set_exception(self._busy("others had waited for longer"))

    def _leave(self, lane: Lane, waiter: asyncio.Future[None]) -> None:
        line = self._lanes.get(lane, ())
        if waiter in line:
            self._remove(lane, waiter)
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self._end()  # its turn came in the moment in which it went away

    def _remove(self, lane: Lane, waiter: asyncio.Future[None]) -> None:
        self._lanes[lane].remove(waiter)
        if not self._lanes[lane]:
            del self._lanes[lane]

    def _forget_who_left(self) -> None:
        """Take those out of their lanes that were cancelled and had no time to do so themselves."""
        for lane, line in list(self._lanes.items()):
            for waiter in [waiter for waiter in line if waiter.done()]:
                self._remove(lane, waiter)

    def _end(self) -> None:
        served, self._served = self._served, None
        if served is not None and served in self._lanes:
            self._lanes.move_to_end(served)  # behind those that came meanwhile
        self._give()

    def _give(self) -> None:
        """Give the next turn, if there is one to give and somebody waits."""
        self._forget_who_left()
        if self._served is not None or not self._lanes:
            return
        now = self._clock()
        earned = (now - self._credited) * self._limits.per_second
        self._credit, self._credited = min(self._limits.burst, self._credit + earned), now
        if self._credit < 1:
            self._set_alarm((1 - self._credit) / self._limits.per_second)
            return
        self._credit -= 1
        lane = min(self._lanes, key=lambda lane: lane.outside)  # the first of several equals
        waiter = self._lanes[lane][0]
        self._remove(lane, waiter)
        self._served = lane
        waiter.set_result(None)

    def _set_alarm(self, seconds: float) -> None:
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._give()

    def _busy(self, reason: str) -> BusyError:
        seconds = max(1.0, (len(self) + 1) / self._limits.per_second)
        return BusyError(
            f"this node is asked too often: {reason}", retry_after=seconds, hint=f"try again in {seconds:.0f} s"
        )
