# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A gRPC channel (grpclib's) that can be ended: it is closed when `end` returns.

grpclib says goodbye and leaves the rest to the event loop. A program that ends right after leaves connections open.
"""

from __future__ import annotations

import asyncio
from typing import Final

from grpclib.client import Channel, Handler
from grpclib.protocol import H2Protocol

from constellation_core import grpc_cancellation as _repair  # noqa: F401 - importing it is what it takes

_GOODBYE: Final = 1.0  # seconds that a connection may take to close


class EndingChannel(Channel):
    """A channel whose last connection can be waited for."""

    _last: _Connection | None = None

    async def end(self, *, goodbye: float = _GOODBYE) -> None:
        """Close the connection, and wait until it is.

        Args:
            goodbye: seconds that the peer may take to say it too; 0 where it does not answer anyway.
        """
        self.close()
        if self._last is not None:
            await self._last.end(goodbye)

    def _protocol_factory(self) -> H2Protocol:
        self._last = _Connection(Handler(), self._config, self._h2_config)
        return self._last


class _Connection(H2Protocol):
    """Tells when it is over."""

    _transport: asyncio.BaseTransport | None = None
    _lost: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._lost = transport, asyncio.Event()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._lost.set()

    async def end(self, goodbye: float) -> None:
        if self._transport is None:  # it never came about
            return
        try:
            async with asyncio.timeout(goodbye):  # `wait_for` of Python 3.11 may swallow that we are cancelled
                await self._lost.wait()
        except TimeoutError:
            if isinstance(self._transport, asyncio.Transport):
                self._transport.abort()
            await self._lost.wait()
