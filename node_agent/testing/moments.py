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
    _light: asyncio.Event = field(default_factory=asyncio.Event)

    def break_at(self, moment: str, error: Exception, *, times: int = 1_000_000) -> None:
        """Raise an error whenever a moment comes, or so many times."""
        self._broken[moment] = (error, times)

    def mend(self) -> None:
        """Break nothing, and let the power be."""
        self._broken.clear()
        self._cut = ""

    def go_on(self) -> None:
        """Let what stood still go on."""
        self._light.set()

    def cut_at(self, moment: str) -> None:
        """Let everything stand still when a moment comes; what stood still before goes on."""
        self._light.set()
        self._cut, self.dark, self._light = moment, asyncio.Event(), asyncio.Event()

    async def come(self, moment: str) -> None:
        """Pass a moment, or break there."""
        self.seen.append(moment)
        if moment == self._cut:
            light = self._light
            self.dark.set()
            await light.wait()
        if moment in self._broken:
            error, times = self._broken[moment]
            if times > 0:
                self._broken[moment] = (error, times - 1)
                raise error
