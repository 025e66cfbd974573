# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A small HTTP/1.1 server for GET, bounded in everything that a stranger could make large.

Connections are guests of a room as those of the attested channel are: when it is full, the one that has been silent
longest leaves, of the address that holds most places. A request has a line and few headers, and no body. Nothing is
logged about requests that are not HTTP: whoever wants to fill logs would send them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from constellation_core.channel.rooms import Guest, Room

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]

CONNECTIONS: Final = 128
BACKLOG: Final = 256  # connections that wait in the kernel
IDLE: Final = 10.0  # seconds until the whole request must be there, and between requests
MAX_LINE: Final = 1024  # bytes of the request line, and of a header
MAX_HEADERS: Final = 32

_LOG: Final = logging.getLogger(__name__)
_HEADERS: Final = {"Server": "constellation", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class HttpServer:
    """Serves some paths.

    Args:
        routes: path → what answers GET.
    """

    def __init__(self, routes: Mapping[str, Handler]) -> None:
        self._routes = routes
        self._connections = _Connections(self._handle)
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that the server listens on; 0 while it does not."""
        sockets = self._listener.sockets if self._listener is not None else ()
        port: int = sockets[0].getsockname()[1] if sockets else 0
        return port

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Args:
            host: address to listen on; empty for all.
            port: TCP port; 0 for any.

        Raises:
            OSError: the address is in use, or not ours.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connections, host or None, port, backlog=BACKLOG)

    async def drain(self, grace: float) -> None:
        """Take no new connection, let running requests end, then close.

        Args:
            grace: seconds that requests may take.
        """
        if self._listener is not None:
            self._listener.close()
        self._connections.pre_shutdown()
        await self._connections.shutdown(grace)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        with _at_work(request.protocol):
            try:
                response = await self._answer(request)
            except Exception:  # noqa: BLE001 - a bug in one request; the next one may be answered
                _LOG.exception("%s is not answered", request.path)
                response = web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR, text="internal error\n")
        response.headers.update(_HEADERS)
        if request.body_exists:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        handler = self._routes.get(request.path)
        if handler is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text=f"known paths: {', '.join(self._routes)}\n")
        if request.method != "GET":
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, text="expected GET\n", headers={"Allow": "GET"})
        if request.body_exists:
            return web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text="expected no body\n")
        return await handler(request)


class _Connections(web.Server):
    """Makes the protocol of each connection, and counts them."""

    def __init__(self, handle: Handler) -> None:
        super().__init__(handle, handler_cancellation=True)  # who hung up waits for nothing
        self.room = Room(CONNECTIONS)

    def __call__(self) -> web.RequestHandler:
        return _Connection(self)


class _Connection(web.RequestHandler):
    """One connection, a guest of the room."""

    def __init__(self, connections: _Connections) -> None:
        super().__init__(
            connections,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE,
            lingering_time=0,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
            access_log=None,  # type: ignore[arg-type] # none is documented, and not in the type
        )
        self._room = connections.room
        self.guest: Guest | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is None:
            return
        address = str(transport.get_extra_info("peername")[0])
        self.guest = Guest(address, self.transport.abort, silent_since=self._loop.time())
        if not self._room.enter(self.guest):
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.guest is not None:
            self._room.leave(self.guest)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp calls this
        status: int = HTTPStatus.BAD_REQUEST,
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        response = web.Response(status=status, text="expected an HTTP/1.1 request\n", headers=_HEADERS)
        response.force_close()
        return response


@contextmanager
def _at_work(connection: web.RequestHandler) -> Iterator[None]:
    """While we work on a request, its sender is not silent."""
    guest = connection.guest if isinstance(connection, _Connection) else None
    if guest is None:
        yield
        return
    guest.silent_since = math.inf
    try:
        yield
    finally:
        guest.silent_since = asyncio.get_running_loop().time()
