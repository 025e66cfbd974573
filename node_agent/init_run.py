# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One initialisation, as administrators see it: all its events for whoever listens, also for one who comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from constellation_proto import init_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from node_agent.errors import AgentError

MAX_EVENTS: Final = 4096  # those in the middle of a longer history are not told again


class InitRun:
    """The events of one initialisation.

    Args:
        request: what was asked for.
    """

    def __init__(self, request: init_pb2.InitRequest) -> None:
        self.request = request
        self._events: list[init_pb2.InitEvent] = []
        self._error: AgentError | None = None
        self._over = False
        self._news = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self._over

    @property
    def succeeded(self) -> bool:
        """Whether it has a result."""
        return self._over and self._error is None

    def phase(self, name: str, *, finished: bool = False) -> None:
        """Tell that a phase begins or is finished."""
        self._tell(init_pb2.InitEvent(phase=init_pb2.Phase(name=name, finished=finished)))

    def log(self, line: str) -> None:
        """Tell a line of progress."""
        if len(self._events) < MAX_EVENTS:
            self._tell(init_pb2.InitEvent(log_line=line))

    def finish(self, done: init_pb2.Done) -> None:
        """Tell the result."""
        self._over = True
        self._tell(init_pb2.InitEvent(done=done))

    def fail(self, error: AgentError) -> None:
        """End without a result."""
        self._over, self._error = True, error
        self._news.set()

    async def follow(self) -> AsyncIterator[init_pb2.InitEvent]:
        """Give all events from the first to the last.

        Raises:
            AgentError: it failed.
        """
        told = 0
        while True:
            news = self._news
            while told < len(self._events):
                yield self._events[told]
                told += 1
            if self._over:
                break
            await news.wait()
        if self._error is not None:
            raise self._error

    def _tell(self, event: init_pb2.InitEvent) -> None:
        self._events.append(event)
        self._news.set()
        self._news = asyncio.Event()
