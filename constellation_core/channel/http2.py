# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""gRPC over HTTP/2 for peers that passed the exchange: grpclib, with limits that it does not have."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grpclib import GRPCError, Status
from grpclib.config import Configuration
from grpclib.protocol import H2Protocol
from grpclib.server import Handler, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from grpclib._typing import IServable
    from grpclib.protocol import Stream

    from attestation.verdict import Verdict
    from constellation_core.channel.rooms import Guest, Room

_WINDOW: Final = 1024 * 1024  # bytes in flight, of a stream and of a connection


@dataclass(frozen=True, slots=True)
class Peer:
    """Who a handler serves.

    Attributes:
        address: where the connection comes from.
        verdict: what we think of it, accepted; None where peers do not attest.
    """

    address: str
    verdict: Verdict | None


_PEER: contextvars.ContextVar[Peer] = contextvars.ContextVar("peer")


def current_peer() -> Peer:
    """Give the peer of the request that is being handled."""
    return _PEER.get()


class GrpcServer(Server):
    """grpclib's server without its listening half.

    Args:
        services: handlers made from the generated classes.
        request_size: bytes that a request may have.
        room: where connections are counted.
    """

    def __init__(self, services: Collection[IServable], *, request_size: int, room: Room) -> None:
        config = Configuration(http2_connection_window_size=_WINDOW, http2_stream_window_size=_WINDOW)
        super().__init__(services, config=config)
        self._request_size = request_size
        self._room = room

    def protocol_for(self, peer: Peer, guest: Guest) -> H2Protocol:
        """Make the protocol that serves one peer from now on."""
        self.__gc_step__()
        handler = _PeerHandler(self._mapping, self._codec, self._status_details_codec, self.__dispatch__)
        handler.peer = peer
        handler.request_size = self._request_size
        self._handlers.add(handler)
        protocol = _Connection(handler, self._config, self._h2_config)
        protocol.guest = guest
        protocol.room = self._room
        return protocol

    async def idle(self) -> None:
        """Wait until no request runs."""
        while running := [task for handler in self._handlers for task in _running(handler)]:
            await asyncio.wait(running)

    async def end(self) -> None:
        """Cancel what runs."""
        handlers = list(self._handlers)
        for handler in handlers:
            handler.close()
        await asyncio.gather(*(handler.wait_closed() for handler in handlers))


class _PeerHandler(Handler):
    """Starts the tasks of one connection, each of which knows its peer."""

    peer: Peer
    request_size: int

    def accept(self, stream: Stream, headers: list[tuple[str, str]], release_stream: Callable[[], object]) -> None:
        receive = stream.recv_data

        async def receive_within_limit(size: int) -> bytes:
            if size > self.request_size:
                raise GRPCError(
                    Status.RESOURCE_EXHAUSTED, f"a request has at most {self.request_size} bytes, this one has {size}"
                )
            return await receive(size)

        stream.recv_data = receive_within_limit  # type: ignore[method-assign] # grpclib has no limit of its own
        context = contextvars.copy_context()
        context.run(_PEER.set, self.peer)
        context.run(super().accept, stream, headers, release_stream)


class _Connection(H2Protocol):
    """Notes when its peer spoke last, and gives its place back."""

    guest: Guest
    room: Room

    def data_received(self, data: bytes) -> None:
        self.guest.silent_since = asyncio.get_running_loop().time()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.room.leave(self.guest)
        super().connection_lost(exc)


def _running(handler: Handler) -> list[asyncio.Task[None]]:
    return [task for task in handler._tasks.values() if not task.done()]  # noqa: SLF001 - grpclib does not tell
