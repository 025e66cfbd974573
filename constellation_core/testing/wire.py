# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The attested channel taken apart: TLS connections on which a test says every byte.

    async with dial(port) as wire:
        wire.send(ClientHello(version=VERSION, nonce=nonce), b"bytes out of turn")  # one TLS record
        hello = await wire.receive(ServerHello)
        assert await wire.rest() == b""  # the peer hung up and said nothing more

    async with listening(behave) as port:  # a server that does what `behave(wire)` does
        ...

TLS is by default that of the channel; any other can be given.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar, cast

from constellation_core.channel.frames import decode_message, encode_frame
from constellation_core.channel.tls import ServerKey, client_context, tls_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from google.protobuf.message import Message

    from constellation_core.channel.binding import TlsFacts

_HEADER_SIZE: Final = 4
_MOST: Final = 4 * 1024 * 1024  # bytes that a wire reads ahead

_Message = TypeVar("_Message", bound="Message")


class Wire:
    """One end of a TLS connection, which sends and receives what it is told.

    Args:
        reader: of the connection.
        writer: of the connection.
        own_key: the server's public key, on a server's side.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own_key: bytes | None = None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._own_key = own_key

    @property
    def facts(self) -> TlsFacts:
        """What evidence on this connection is bound to."""
        return tls_of(cast("asyncio.Transport", self._writer.transport)).facts(self._own_key)

    def send(self, *parts: Message | bytes) -> None:
        """Send frames and bare bytes, all in one write."""
        self._writer.write(b"".join(part if isinstance(part, bytes) else encode_frame(part) for part in parts))

    async def receive(self, kind: type[_Message]) -> _Message:
        """Wait for a frame.

        Raises:
            EOFError: the peer hung up instead.
        """
        try:
            length = int.from_bytes(await self._reader.readexactly(_HEADER_SIZE), "big")
            return decode_message(await self._reader.readexactly(length), kind)
        except ConnectionError as error:
            _let_go(error)
            raise EOFError(str(error)) from None

    async def read(self) -> bytes:
        """Wait for bytes; none where the peer hung up."""
        try:
            return await self._reader.read(_MOST)
        except ConnectionError as error:
            _let_go(error)
            return b""

    async def rest(self) -> bytes:
        """Give all bytes until the peer hangs up."""
        said = b""
        while more := await self.read():
            said += more
        return said

    async def drain(self) -> None:
        """Wait until the kernel has taken what was sent."""
        await self._writer.drain()

    def pause(self) -> None:
        """Read nothing more."""
        cast("asyncio.Transport", self._writer.transport).pause_reading()

    def resume(self) -> None:
        """Read on."""
        cast("asyncio.Transport", self._writer.transport).resume_reading()

    def end(self) -> None:
        """Hang up in the regular way."""
        self._writer.close()

    def cut(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()


def _let_go(error: ConnectionError) -> None:
    """Forget where an error was met: the reader keeps the error, whose frames would keep the reader."""
    error.__traceback__ = None


@asynccontextmanager
async def dial(
    port: int, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", buffer: int = 0
) -> AsyncIterator[Wire]:
    """Connect to a server on this machine.

    Args:
        port: its TCP port.
        tls: how to speak TLS; by default as a client of the attested channel does.
        address: where to come from; all of 127.0.0.0/8 is ours.
        buffer: bytes that the kernel may keep of what nobody reads; 0 for as many as it likes.
    """
    plain = socket.socket()
    try:
        plain.settimeout(0)
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        plain.bind((address, 0))
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(
            sock=plain, ssl=tls or client_context(), server_hostname="", limit=_MOST
        )
    except BaseException:
        plain.close()
        raise
    wire = Wire(reader, writer)
    try:
        yield wire
    finally:
        wire.cut()


@asynccontextmanager
async def listening(
    behave: Callable[[Wire], Awaitable[object]], *, key: ServerKey | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Run a server on this machine that does to every client what a function does.

    Args:
        behave: what it does; then it hangs up.
        key: its TLS key; by default a new one.
        tls: how to speak TLS; by default as a server of the attested channel does, with that key.

    Yields:
        Its TCP port.
    """
    held = key or ServerKey(datetime.now(UTC))
    meetings: set[asyncio.Task[object] | None] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meetings.add(asyncio.current_task())
        wire = Wire(reader, writer, held.public_key)
        try:
            await behave(wire)
        except EOFError:
            pass  # the client hung up: that is what tests provoke
        finally:
            wire.end()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=tls or held.context, limit=_MOST)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for meeting in filter(None, meetings):
            meeting.cancel()
        await asyncio.gather(*filter(None, meetings), return_exceptions=True)
