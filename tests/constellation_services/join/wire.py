# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The wire between the join service and the API server, which a test breaks where it wants.

Watches and lists are what the service follows, and are not counted: calls are what a ticket is made with.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Break(Enum):
    """How a call breaks."""

    REQUEST_LOST = "the API server never hears of it"
    ANSWER_LOST = "the API server does it, and nobody hears"
    SILENCE = "nothing ever comes back"
    REFUSED = "503"


@dataclass(slots=True)
class Wire:
    """Counts calls and breaks one.

    Attributes:
        url: of the API server, or of what stands before it.
        calls: made since `break_call`, as "POST leases".
        broken: calls that were broken.
    """

    url: str
    calls: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _at: int = -1
    _how: Break = Break.REQUEST_LOST
    _matches: Callable[[str], bool] = lambda _: True

    def break_call(self, number: int, how: Break, matches: Callable[[str], bool] = lambda _: True) -> None:
        """Break one call, counted from zero and from now, of those that match."""
        self._at, self._how, self._matches = number, how, matches
        self.calls.clear()
        self.broken.clear()

    @asynccontextmanager
    async def through_proxy(self) -> AsyncIterator[Proxy]:
        """Put a proxy before the API server, for clients that are made from now on."""
        direct = self.url
        host, _, port = direct.removeprefix("https://").rpartition(":")
        proxy = Proxy(host, int(port))
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield proxy
        finally:
            self.url = direct
            server.close()
            await proxy.end()

    def over(self, transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
        """Put the wire over a transport."""
        return _Transport(transport, self)

    async def carry(self, transport: httpx2.AsyncBaseTransport, request: httpx2.Request) -> httpx2.Response:
        call = _describe(request)
        if call is None or not self._matches(call):
            return await transport.handle_async_request(request)
        self.calls.append(call)
        if len(self.calls) - 1 != self._at:
            return await transport.handle_async_request(request)
        self.broken.append(call)
        return await self._break(transport, request)

    async def _break(self, transport: httpx2.AsyncBaseTransport, request: httpx2.Request) -> httpx2.Response:
        match self._how:
            case Break.REFUSED:
                return httpx2.Response(503, text="the server is shutting down", request=request)
            case Break.SILENCE:
                await asyncio.get_running_loop().create_future()
            case Break.ANSWER_LOST:
                answer = await transport.handle_async_request(request)
                await answer.aread()
                await answer.aclose()
        raise httpx2.ReadError("broken by a test", request=request)


class Proxy:
    """Passes bytes on, until it is told to say nothing more: no error, no end, as a network does that lost its way.

    Args:
        host: of the server behind it.
        port: of the server behind it.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._silent = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self.passes_new = True

    def stall(self, *, new: bool) -> None:
        """Pass nothing on any more.

        Args:
            new: whether that is also so for connections that are made from now on.
        """
        self._silent.set()
        self._silent = asyncio.Event()
        self.passes_new = not new

    def resume(self) -> None:
        """Pass on what comes over new connections. Those that stalled say nothing for ever."""
        self.passes_new = True

    async def end(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        # Each of those that begin in silence has its own: `resume` is for all that come after it.
        silent = self._silent if self.passes_new else _always()
        with suppress(OSError, asyncio.CancelledError):
            there_reader, there = await asyncio.open_connection(*self._server)
            try:
                await asyncio.gather(_pass_on(reader, there, silent), _pass_on(there_reader, writer, silent))
            finally:
                await _close(there)
        await _close(writer)


def _always() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: asyncio.Event) -> None:
    while data := await reader.read(64 * 1024):
        if not silent.is_set():
            writer.write(data)
            await writer.drain()
    writer.close()


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, transport: httpx2.AsyncBaseTransport, wire: Wire) -> None:
        self._transport = transport
        self._wire = wire

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._wire.carry(self._transport, request)

    async def aclose(self) -> None:
        await self._transport.aclose()


def _describe(request: httpx2.Request) -> str | None:
    """Say what a call is; None for what the service only follows."""
    words = request.url.path.strip("/").split("/")
    kinds = [word for word in words if word in _KINDS]
    if not kinds or "watch" in request.url.params or "limit" in request.url.params:
        return None
    status = " status" if words[-1] == "status" else ""
    return f"{request.method} {kinds[0]}{status}"


_KINDS = frozenset({"leases", "nodeidentities", "joinrequests", "secrets", "nodes", "events"})
