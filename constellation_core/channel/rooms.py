# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How many peers may be where at a time, who waits, and who must leave when another comes.

A peer that is not attested yet costs a file descriptor and some memory, then a TLS handshake and a signature of our
TPM. Whoever opens thousands of connections must not keep others out, and a thousand nodes that start at the same time
must all come in. So

1. a connection that has not said a byte costs nothing but itself, and leaves as soon as another needs its place,
2. those that spoke wait for a place, and the address that holds fewest places is served first,
3. where too many wait, the last one of the address that waits most often leaves,
4. where others wait, a guest may be silent for some seconds and no longer, and only for a part of them where its
   address holds more places than theirs: then the one that has been silent longest leaves.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from constellation_core.channel.lanes import Lane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_GREEDY: Final = 4  # an address that holds more places than another's has this part of the patience


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of an attested server.

    Attributes:
        silent: connections that have not said anything.
        queued: connections that did, and wait for a place among the next.
        pending: TLS handshakes and exchanges, until the verdict.
        served: accepted connections.
        patience: seconds that a pending client may be silent while others wait.
        exchange: seconds for everything up to the verdict.
        request: bytes of a request.
        requests: that one connection may have running.
    """

    silent: int = 1024
    queued: int = 1024
    pending: int = 64
    served: int = 512
    patience: float = 2.0
    exchange: float = 30.0
    request: int = 1024 * 1024
    requests: int = 100


@dataclass(eq=False, slots=True)
class Guest:
    """One connection.

    Attributes:
        address: where it comes from.
        dismiss: ends it.
        silent_since: by the loop's clock; infinitely late while it is not its turn to speak.
        called: set when its place is free.
        lane: with whom it shares what it may have: whoever has the same address, or one of the same owner.
    """

    address: str
    dismiss: Callable[[], object] = lambda: None
    silent_since: float = math.inf
    called: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    lane: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Find out whose address it is."""
        self.lane = Lane.of(self.address).name


class Room:
    """Holds a limited number of guests, and those that wait to come in.

    Args:
        limit: how many.
        queued: how many may wait.
        patience: seconds of silence that everybody may have.
    """

    def __init__(self, limit: int, *, queued: int = 0, patience: float = 0.0) -> None:
        self._limit = limit
        self._queued = queued
        self._patience = patience
        self._guests = _Crowd()
        self._line = _Crowd()
        self._alarm: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Count the guests."""
        return len(self._guests)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    def enter(self, guest: Guest) -> bool:
        """Let a guest in, if there is a place or somebody has to leave.

        Returns:
            Whether the guest is in.
        """
        if not self._make_place(guest.lane):
            return False
        self._guests.add(guest)
        return True

    def leave(self, guest: Guest) -> None:
        """Let a guest go, wherever it is, and the next one in."""
        if guest in self._line:
            self._line.remove(guest)
        elif guest in self._guests:
            self._guests.remove(guest)
            self._call_next()

    @asynccontextmanager
    async def place(self, guest: Guest) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        guest.silent_since = math.inf  # it is our turn
        try:
            if len(self._line) or not self.enter(guest):
                self._line_up(guest)
                await guest.called.wait()
            yield
        finally:
            self.leave(guest)

    def thin_out(self) -> bool:
        """Send away whoever would leave next if one more came.

        Returns:
            Whether there was somebody.
        """
        if len(self._line):
            self._shorten_line()
            return True
        return self._dismiss_silent("")

    def dismiss_all(self) -> None:
        """End all guests."""
        for guest in list(self._guests):
            self._dismiss(self._guests, guest)

    def _line_up(self, guest: Guest) -> None:
        self._line.add(guest)
        if len(self._line) > self._queued:
            self._shorten_line()
        if self._line.share(guest.lane) == 1:  # else it waits behind others
            self._call_next()

    def _shorten_line(self) -> None:
        busiest = max(reversed(self._line.lanes), key=self._line.share)
        self._dismiss(self._line, next(reversed(self._line.lanes[busiest])))

    def _call_next(self) -> None:
        """Give places to those that wait, and come back when the next guest's patience is at an end."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while len(self._line):
            lane = min(self._line.lanes, key=self._guests.share)
            if not self._make_place(lane):
                self._set_alarm(lane)
                return
            called = self._line.next(lane)
            self._guests.add(called)
            called.called.set()

    def _set_alarm(self, newcomer: str) -> None:
        loop = asyncio.get_running_loop()
        soonest = min(self._may_stay_until(self._guests.quietest(lane), newcomer) for lane in self._guests.lanes)
        self._alarm = loop.call_at(min(soonest, loop.time() + self._patience), self._call_next)

    def _make_place(self, newcomer: str) -> bool:
        return len(self._guests) < self._limit or self._dismiss_silent(newcomer)

    def _dismiss_silent(self, newcomer: str) -> bool:
        now = asyncio.get_running_loop().time()
        for busy in sorted(self._guests.lanes, key=self._guests.share, reverse=True):
            guest = self._guests.quietest(busy)
            if self._may_stay_until(guest, newcomer) <= now:
                self._dismiss(self._guests, guest)
                return True
        return False

    def _may_stay_until(self, guest: Guest, newcomer: str) -> float:
        greedy = self._guests.share(guest.lane) > self._guests.share(newcomer) + 1
        return guest.silent_since + (self._patience / _GREEDY if greedy else self._patience)

    @staticmethod
    def _dismiss(crowd: _Crowd, guest: Guest) -> None:
        crowd.remove(guest)
        guest.dismiss()


class _Crowd:
    """Guests in lanes, in the order in which they came."""

    def __init__(self) -> None:
        self.lanes: dict[str, dict[Guest, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Guest]:
        return chain.from_iterable(self.lanes.values())

    def __contains__(self, guest: Guest) -> bool:
        return guest in self.lanes.get(guest.lane, ())

    def add(self, guest: Guest) -> None:
        self.lanes.setdefault(guest.lane, {})[guest] = None
        self._count += 1

    def remove(self, guest: Guest) -> None:
        lane = self.lanes[guest.lane]
        del lane[guest]
        if not lane:
            del self.lanes[guest.lane]
        self._count -= 1

    def share(self, lane: str) -> int:
        """How many are in a lane."""
        return len(self.lanes.get(lane, ()))

    def quietest(self, lane: str) -> Guest:
        """Who in a lane has been silent longest."""
        return min(self.lanes[lane], key=attrgetter("silent_since"))

    def next(self, lane: str) -> Guest:
        """Take the first of a lane; next time another lane goes before it."""
        guest = next(iter(self.lanes[lane]))
        self.lanes[lane] = self.lanes.pop(lane)
        self.remove(guest)
        return guest
