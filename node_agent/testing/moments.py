# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Moments of a fake part: where it breaks, and where the power goes.

moments.break_at("disk.adopt", PermanentError("no space"))
moments.break_at("kubernetes.init", TemporaryError("not yet"), times=2)
moments.cut_at("mesh.start")  # everything stands still there
await moments.dark.wait()
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Moments:
    """What happens at which moment. Each call of a part has two: its name, and its name with " done".

    Attributes:
        seen: all moments so far, in order.
        dark: set when the power went.
    """

    seen: list[str] = field(default_factory=list)
    dark: asyncio.Event = field(default_factory=asyncio.Event)
    _broken: dict[str, tuple[Exception, int]] = field(default_factory=dict)
    _cut: str = ""

    def break_at(self, moment: str, error: Exception, *, times: int = 1_000_000) -> None:
        """Raise an error whenever a moment comes, or so many times."""
        self._broken[moment] = (error, times)

    def mend(self) -> None:
        """Break nothing, and let the power be."""
        self._broken.clear()
        self._cut = ""
        self.dark = asyncio.Event()

    def cut_at(self, moment: str) -> None:
        """Let everything stand still when a moment comes."""
        self._cut = moment

    async def come(self, moment: str) -> None:
        """Pass a moment, or break there."""
        self.seen.append(moment)
        if moment == self._cut:
            self.dark.set()
            await asyncio.Event().wait()
        if moment in self._broken:
            error, times = self._broken[moment]
            if times > 0:
                self._broken[moment] = (error, times - 1)
                raise error
