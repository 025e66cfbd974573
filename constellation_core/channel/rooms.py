# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How many peers may be where at a time, and who must leave when another comes.

A peer that is not attested yet costs a file descriptor and some memory, and later a signature of our TPM. Whoever opens
thousands of connections and says nothing must not keep others out: of the address that holds most places, the guest
that has been silent longest leaves.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of an attested server.

    Attributes:
        silent: connections before the client's first frame.
        pending: exchanges after it, until the verdict.
        queued: clients that wait for a place among these; more wait in the listening socket.
        served: accepted connections.
        patience: seconds that a client may take for its evidence while others wait.
        exchange: seconds for everything up to the verdict.
        request: bytes of a request.
    """

    silent: int = 256
    pending: int = 64
    queued: int = 32
    served: int = 512
    patience: float = 2.0
    exchange: float = 30.0
    request: int = 1024 * 1024


@dataclass(eq=False, slots=True)
class Guest:
    """One connection.

    Attributes:
        address: where it comes from.
        dismiss: ends it.
        silent_since: by the loop's clock; None while it is not its turn to speak.
    """

    address: str
    dismiss: Callable[[], object]
    silent_since: float | None = None


class Room:
    """Holds a limited number of guests.

    Args:
        limit: how many.
        patience: seconds of silence that everybody may have.
    """

    def __init__(self, limit: int, patience: float = 0.0) -> None:
        self._limit = limit
        self._patience = patience
        self._guests: dict[Guest, None] = {}
        self._queue: deque[asyncio.Event] = deque()
        self._shorter = asyncio.Event()

    def __len__(self) -> int:
        """Count the guests."""
        return len(self._guests)

    def enter(self, guest: Guest) -> bool:
        """Let a guest in, if there is a place or somebody has to leave.

        Returns:
            Whether the guest is in.
        """
        if len(self._guests) >= self._limit:
            leaving = self._longest_silent()
            if leaving is None:
                return False
            del self._guests[leaving]
            leaving.dismiss()
        self._guests[guest] = None
        return True

    def leave(self, guest: Guest) -> None:
        """Let a guest go, and the next one in."""
        if self._guests.pop(guest, guest) is None:
            self._call_next()

    @asynccontextmanager
    async def place(self, guest: Guest) -> AsyncIterator[None]:
        """Wait for a place and hold it; first come, first served."""
        if self._queue or not self.enter(guest):
            await self._wait_in_line(guest)
        try:
            yield
        finally:
            self.leave(guest)

    def dismiss_all(self) -> None:
        """End all guests."""
        guests, self._guests = self._guests, {}
        for guest in guests:
            guest.dismiss()

    async def queue_shorter_than(self, length: int) -> None:
        """Wait until fewer than this number wait for a place."""
        while len(self._queue) >= length:
            self._shorter.clear()
            await self._shorter.wait()

    async def _wait_in_line(self, guest: Guest) -> None:
        turn = asyncio.Event()
        self._queue.append(turn)
        try:
            while self._queue[0] is not turn or not self.enter(guest):
                turn.clear()
                with suppress(TimeoutError):  # then somebody's patience may be at an end
                    await asyncio.wait_for(turn.wait(), self._patience or None)
        finally:
            self._queue.remove(turn)
            self._shorter.set()
            self._call_next()

    def _call_next(self) -> None:
        if self._queue:
            self._queue[0].set()

    def _longest_silent(self) -> Guest | None:
        now = asyncio.get_running_loop().time()
        silent = [
            guest
            for guest in self._guests
            if guest.silent_since is not None and now - guest.silent_since >= self._patience
        ]
        places = Counter(guest.address for guest in self._guests)
        # The first of several equals: a dictionary keeps the order in which they came.
        return max(silent, key=lambda guest: (places[guest.address], now - (guest.silent_since or now)), default=None)
