# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One TLS connection, seen as the frames of the attestation and then as whatever protocol comes after."""

from __future__ import annotations

import asyncio
import math
import ssl
from typing import TYPE_CHECKING, TypeVar

from constellation_core.channel.frames import FrameReader, decode_message, encode_frame, too_early
from constellation_core.channel.tls import tls_of
from constellation_core.errors import InsecureConnectionError, PeerUnavailableError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from constellation_core.channel.rooms import Guest
    from constellation_core.channel.tls import TlsObject

_Message = TypeVar("_Message", bound="Message")


class FrameStream(asyncio.Protocol):
    """Sends and receives frames in turns, then hands its transport over.

    Args:
        guest: who is told when it is the peer's turn, and dismissed when the connection fails; a server has one. The
            client speaks first.

    Attributes:
        failure: what ended the connection; None while it lives.
    """

    def __init__(self, guest: Guest | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._turn: tuple[FrameReader, asyncio.Future[bytes]] | None = None  # None while it is not the peer's
        self.failure: Exception | None = None
        self._rest = b""
        self._lost = asyncio.Event()
        self._guest = guest
        if guest is not None:  # the first frame may arrive together with the end of the handshake
            self._expect(last=False)

    @property
    def transport(self) -> asyncio.Transport:
        """The TLS transport."""
        if self._transport is None:
            message = "the stream is not connected"
            raise RuntimeError(message)
        return self._transport

    @property
    def tls(self) -> TlsObject:
        """The TLS side of the connection."""
        return tls_of(self.transport)

    def send(self, message: Message) -> None:
        """Send one frame."""
        self.transport.write(encode_frame(message))

    async def receive(self, kind: type[_Message], *, last: bool = False) -> _Message:
        """Wait for one frame.

        Args:
            kind: the message that must be in it.
            last: whether the peer goes on with another protocol right after it.

        Raises:
            InsecureConnectionError: what came is not such a frame.
            PeerUnavailableError: the peer closed the connection.
        """
        self._check()
        reader, arrived = self._turn or self._expect(last=last)
        self._wait_for_peer(since=self._loop.time())
        try:
            body = await arrived
        finally:
            self._wait_for_peer(since=math.inf)
            self._turn = None
        self._rest = reader.rest(body) if last else b""
        return decode_message(body, kind)

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Give the transport, and what was already read of it, to the protocol that comes next.

        Raises:
            InsecureConnectionError: the peer spoke when it was not its turn.
            PeerUnavailableError: the peer closed the connection; the next protocol would never hear of it.
        """
        self._check()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        rest, self._rest = self._rest, b""
        if rest:
            protocol.data_received(rest)

    def close(self) -> None:
        """Close the connection; what was sent before still goes out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def end(self) -> None:
        """Close the connection at once, and wait until it is."""
        self.abort()
        if self._transport is not None:
            await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (asyncio calls this)."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes (asyncio calls this)."""
        if self.failure is not None:
            return
        if self._turn is None:
            self._fail(too_early())
            return
        reader, arrived = self._turn
        try:
            body = reader.feed(data)
        except InsecureConnectionError as error:
            self._fail(error)
            return
        # Between this and the moment when the frame is looked at more may come: the reader keeps it.
        if body is not None and not arrived.done():
            arrived.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits (asyncio calls this)."""
        self._lost.set()
        if isinstance(exc, ssl.SSLError):
            self._fail(InsecureConnectionError(f"what came is not TLS: {exc}"))
        else:
            self._fail(_closed(exc))

    def eof_received(self) -> bool:
        """Close our side as well (asyncio calls this)."""
        if not self.transport.is_closing():
            self._fail(_closed(None))
        return False

    def _expect(self, *, last: bool) -> tuple[FrameReader, asyncio.Future[bytes]]:
        self._turn = FrameReader(last=last), self._loop.create_future()
        return self._turn

    def _wait_for_peer(self, *, since: float) -> None:
        if self._guest is not None:
            self._guest.silent_since = since

    def _check(self) -> None:
        if self.transport.is_closing():  # asyncio tells us in the next round of its loop
            self._fail(_closed(None))
        if self.failure is not None:
            raise self.failure

    def _fail(self, error: Exception) -> None:
        if self.failure is not None:
            return
        self.failure = error
        if self._turn is not None:
            _, arrived = self._turn
            if not arrived.done():
                arrived.set_exception(error)
                arrived.exception()  # whoever waited may be gone: then nobody asks for it
        self.abort()
        if self._guest is not None:
            self._guest.dismiss()  # whatever is being done for it is in vain


def _closed(error: Exception | None) -> PeerUnavailableError:
    reason = f": {error}" if error else ""
    return PeerUnavailableError(f"the peer closed the connection while it was being attested{reason}")
