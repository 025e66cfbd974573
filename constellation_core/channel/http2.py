# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""gRPC over HTTP/2 for peers that passed the exchange: grpclib, with limits that it does not have.

Where clients do not attest, anybody gets here. What each limit stops:

1. A request has so many bytes (attack: fill the memory with one).
2. A connection has so many requests running (attack: fill it with many).
3. Who does not read our answers is not listened to (attack: fill it with answers, to pings for example).
4. What is no HTTP/2 ends its connection, what is no gRPC ends its request, and neither is worth a line of the log
   (attack: fill the log).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import struct
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError
from grpclib import GRPCError, Status
from grpclib.config import Configuration
from grpclib.encoding.proto import ProtoCodec
from grpclib.metadata import decode_metadata
from grpclib.protocol import H2Protocol, Stream
from grpclib.server import Handler, Server
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from grpclib._typing import IServable
    from h2.connection import H2Connection

    from attestation.verdict import Verdict
    from constellation_core.channel.rooms import Guest, Limits, Room

_WINDOW: Final = 65535  # bytes in flight, of a stream and of a connection: what HTTP/2 begins with
_UNREAD: Final = 64 * 1024  # bytes of answers that wait for a peer to read
_LONGEST_FRAME: Final = 9 + 16 * 1024  # bytes with its header (RFC 9113, section 4.2)
_QUIET: Final = 60.0  # seconds between two lines about the same

CONFIGURATION: Final = Configuration(http2_connection_window_size=_WINDOW, http2_stream_window_size=_WINDOW)


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


class _OncePerMinute(logging.Filter):
    """Keeps what grpclib says about requests from filling the log: peers may cause it as often as they like."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, type | None], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        what = (str(record.msg), record.exc_info[0] if record.exc_info else None)
        if record.created - self._last.get(what, -math.inf) < _QUIET:
            return False
        self._last[what] = record.created
        return True


logging.getLogger("grpclib.server").addFilter(_OncePerMinute())  # it has one logger for all servers


class GrpcServer(Server):
    """grpclib's server without its listening half.

    Args:
        services: handlers made from the generated classes.
        limits: what a connection may ask for.
        room: where connections are counted.
    """

    def __init__(self, services: Collection[IServable], *, limits: Limits, room: Room) -> None:
        super().__init__(services, codec=_Codec(), config=CONFIGURATION)
        self._h2_config = H2Configuration(client_side=False, header_encoding="ascii")  # grpclib's checks no headers
        self._limits = limits
        self._room = room

    def protocol_for(self, peer: Peer, guest: Guest, answered: asyncio.Event) -> H2Protocol:
        """Make the protocol that serves one peer from now on.

        Args:
            peer: who it is.
            guest: its place among those that are served.
            answered: set when its first request is answered, or will never be.
        """
        self.__gc_step__()
        handler = _PeerHandler(self._mapping, self._codec, self._status_details_codec, self.__dispatch__)
        handler.peer = peer
        handler.limits = self._limits
        handler.answered = answered
        self._handlers.add(handler)
        protocol = _Connection(handler, self._config, self._h2_config)
        protocol.guest = guest
        protocol.room = self._room
        protocol.requests = self._limits.requests
        protocol.answered = answered
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
    limits: Limits
    answered: asyncio.Event

    def accept(self, stream: Stream, headers: list[tuple[str, str]], release_stream: Callable[[], object]) -> None:
        error = self._objection(headers)
        if error is not None:
            stream.reset_nowait(error)
            release_stream()
            return
        stream.recv_data = _Body(stream, self.limits.request).receive  # type: ignore[method-assign] # it has no limit
        context = contextvars.copy_context()
        context.run(_PEER.set, self.peer)
        context.run(super().accept, stream, headers, release_stream)
        self._tasks[stream].add_done_callback(lambda _: self.answered.set())

    def _objection(self, headers: list[tuple[str, str]]) -> ErrorCodes | None:
        if len(_running(self)) >= self.limits.requests:
            return ErrorCodes.REFUSED_STREAM
        try:
            decode_metadata(headers)
        except ValueError:
            return ErrorCodes.PROTOCOL_ERROR
        return None


class _Body:
    """Reads messages within limits: grpclib asks for the five bytes before a message, then for the message.

    The stream holds this and not the other way round: a circle would keep all of a connection until somebody looks for
    garbage.
    """

    def __init__(self, stream: Stream, most: int) -> None:
        self._stream = weakref.ref(stream)
        self._most = most
        self._within_message = False

    async def receive(self, size: int) -> bytes:
        stream = self._stream()
        if stream is None:  # nobody can ask for the body of a request that is gone
            return b""
        try:
            data = await Stream.recv_data(stream, size)
            complete = len(data) == size or not self._within_message
        except AssertionError:  # grpclib's way to say so
            complete = False
        if not complete:
            raise GRPCError(Status.INVALID_ARGUMENT, "the request ends within a message")
        self._within_message = bool(data) and not self._within_message
        if self._within_message:
            self._check(data)
        return data

    def _check(self, prefix: bytes) -> None:
        compressed, length = struct.unpack(">?I", prefix)
        if compressed:
            raise GRPCError(Status.UNIMPLEMENTED, "requests must not be compressed")
        if length > self._most:
            raise GRPCError(
                Status.RESOURCE_EXHAUSTED, f"a request has at most {self._most} bytes, this one has {length}"
            )


class _Codec(ProtoCodec):
    """Says whose mistake it is when a message cannot be read."""

    def decode(self, data: bytes, message_type: type[Any]) -> Any:  # noqa: ANN401 - as its base class
        try:
            return super().decode(data, message_type)
        except DecodeError:
            raise GRPCError(Status.INVALID_ARGUMENT, f"the request is no {message_type.__name__}") from None


class _Connection(H2Protocol):
    """Notes when its peer spoke last, and gives its place back."""

    guest: Guest
    room: Room
    requests: int
    answered: asyncio.Event
    _transport: asyncio.Transport
    _http2: H2Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if isinstance(transport, asyncio.Transport):
            transport.set_write_buffer_limits(_UNREAD)
            self._transport = transport
        self._http2 = self.connection._connection  # noqa: SLF001 - grpclib has no settings for this
        if self.requests != self._http2.local_settings.max_concurrent_streams:
            self._http2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self.requests})
            self.connection.flush()

    def data_received(self, data: bytes) -> None:
        self.guest.silent_since = asyncio.get_running_loop().time()
        try:
            super().data_received(data)
        except Exception:  # noqa: BLE001 - grpclib knows less of HTTP/2 than a peer may say
            self.processor.close("the peer does not speak gRPC")
        # h2 looks at the length of a frame when it has all of it, and that can be 16 MiB.
        if len(self._http2.incoming_buffer._data) > _LONGEST_FRAME:  # noqa: SLF001 - no other way to know
            self.processor.close("the peer sends a frame that is too long")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._transport.resume_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.room.leave(self.guest)
        self.answered.set()
        super().connection_lost(exc)


def _running(handler: Handler) -> list[asyncio.Task[None]]:
    return [task for task in handler._tasks.values() if not task.done()]  # noqa: SLF001 - grpclib does not tell
