# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How many peers may be where at a time, who waits, and who must leave when another comes.

A peer that is not attested yet costs a file descriptor and some memory, then a TLS handshake and a signature of our
TPM. Whoever opens thousands of connections must not keep others out, and a thousand nodes that start at the same time
must all come in. So

1. a connection that has not said a byte costs nothing but itself, and leaves as soon as another needs its place,
2. those that spoke wait for a place, and the address that holds fewest places is served first,
3. where too many wait, the last one of the address that waits most often leaves,
4. where others wait, a guest may be silent for some seconds and no longer: then the one that has been silent longest
   leaves, of the address that holds most places.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


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

    silent: int = 256
    queued: int = 1024
    pending: int = 64
    served: int = 512
    patience: float = 2.0
    exchange: float = 30.0
    request: int = 1024 * 1024
    requests: int = 32


@dataclass(eq=False, slots=True)
class Guest:
    """One connection.

    Attributes:
        address: where it comes from.
        dismiss: ends it.
        silent_since: by the loop's clock; infinitely late while it is not its turn to speak.
        called: set when its place is free.
    """

    address: str
    dismiss: Callable[[], object] = lambda: None
    silent_since: float = math.inf
    called: asyncio.Event = field(default_factory=asyncio.Event, repr=False)


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
        if not self._make_place():
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
        try:
            if len(self._line) or not self.enter(guest):
                self._line_up(guest)
                await guest.called.wait()
            yield
        finally:
            self.leave(guest)

    def dismiss_all(self) -> None:
        """End all guests."""
        for guest in list(self._guests):
            self._dismiss(self._guests, guest)

    def _line_up(self, guest: Guest) -> None:
        self._line.add(guest)
        if len(self._line) > self._queued:
            self._dismiss(self._line, max(reversed(self._line), key=self._line.share))
        self._set_alarm()

    def _call_next(self) -> None:
        while len(self._line) and self._make_place():
            called = min(self._line, key=self._guests.share)
            self._line.remove(called)
            self._guests.add(called)
            called.called.set()
        self._set_alarm()

    def _set_alarm(self) -> None:
        """While somebody waits, look again when the next guest's patience is at an end."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if len(self._line):
            loop = asyncio.get_running_loop()
            since = min(loop.time(), *(guest.silent_since for guest in self._guests))
            self._alarm = loop.call_at(since + self._patience, self._call_next)

    def _make_place(self) -> bool:
        if len(self._guests) < self._limit:
            return True
        latest = asyncio.get_running_loop().time() - self._patience
        silent = [guest for guest in self._guests if guest.silent_since <= latest]
        if not silent:
            return False
        share = self._guests.share
        self._dismiss(self._guests, max(silent, key=lambda guest: (share(guest), -guest.silent_since)))
        return True

    @staticmethod
    def _dismiss(crowd: _Crowd, guest: Guest) -> None:
        crowd.remove(guest)
        guest.dismiss()


class _Crowd:
    """Guests in the order in which they came."""

    def __init__(self) -> None:
        self._guests: dict[Guest, None] = {}
        self._places: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._guests)

    def __iter__(self) -> Iterator[Guest]:
        return iter(self._guests)

    def __reversed__(self) -> Iterator[Guest]:
        return reversed(self._guests)

    def __contains__(self, guest: Guest) -> bool:
        return guest in self._guests

    def add(self, guest: Guest) -> None:
        self._guests[guest] = None
        self._places[guest.address] += 1

    def remove(self, guest: Guest) -> None:
        del self._guests[guest]
        self._places[guest.address] -= 1
        if not self._places[guest.address]:
            del self._places[guest.address]  # there are more addresses than memory

    def share(self, guest: Guest) -> int:
        """How many come from the same address."""
        return self._places[guest.address]
