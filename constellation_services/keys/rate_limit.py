# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How often somebody may ask: a token bucket for each name.

In the form of the generic cell rate algorithm (ITU-T I.371): for each name one number is kept, the time at which its
bucket will be full again. Times are whole nanoseconds: sums of fractions would now and then refuse the last of a burst.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND: Final = 10**9
CAPACITY: Final = 4096  # names that are remembered


@dataclass(frozen=True, slots=True)
class Rate:
    """How often.

    Attributes:
        per_second: requests, for ever.
        burst: requests at once, after a pause.
    """

    per_second: float
    burst: int


class RateLimiter:
    """Counts requests by name.

    Args:
        clock: seconds, monotonic.
        capacity: names that are remembered; of more, those are forgotten that asked least.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._full_at: dict[str, int] = {}

    def take(self, name: str, rate: Rate) -> float:
        """Count one request.

        Args:
            name: whose.
            rate: how often it may ask.

        Returns:
            0 if it may go on; or seconds until it may try again, and then nothing was counted.
        """
        now, interval = int(self._clock() * SECOND), math.ceil(SECOND / rate.per_second)
        full_at = max(self._full_at.get(name, now), now)
        wait = full_at - now - (rate.burst - 1) * interval
        if wait > 0:
            return wait / SECOND
        if name not in self._full_at and len(self._full_at) >= self._capacity:
            self._forget(now)
        self._full_at[name] = full_at + interval
        return 0.0

    def _forget(self, now: int) -> None:
        """Make room: a name whose bucket is full is as good as unknown."""
        busy = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        if len(busy) >= self._capacity:
            del busy[min(busy, key=busy.__getitem__)]
        self._full_at = busy
