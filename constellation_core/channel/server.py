# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The server side of the attested channel: gRPC services for peers that passed the exchange.

    server = AttestedServer([service], issuer=issuer, verifier=verifier)
    await server.start("0.0.0.0", 9090)
    ...
    await server.drain(grace=20)

Handlers ask `current_peer()` who it is that they serve.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, ExitStack, nullcontext, suppress
from typing import TYPE_CHECKING, Final

from constellation_core.channel.exchange import hear_client, meet_client
from constellation_core.channel.http2 import GrpcServer, Peer
from constellation_core.channel.refusals import Observer, Reason, Refusal, RefusalLog
from constellation_core.channel.rooms import Guest, Limits, Room
from constellation_core.channel.stream import FrameStream
from constellation_core.channel.tls import ServerKeys
from constellation_core.channel.workers import Workers
from constellation_core.errors import PeerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection

    from grpclib._typing import IServable

    from attestation.issuer import Issuer
    from attestation.verdict import Verdict
    from constellation_core.channel.turns import Turns
    from constellation_core.channel.verifier import Verifier
    from constellation_core.image_manifest import SignedManifest

BACKLOG: Final = 4096  # connections that wait in the kernel until there is a place
_UNREAD: Final = 128 * 1024  # bytes that the kernel keeps for a peer that does not read; else it grows to megabytes
_PAUSE_WITHOUT_DESCRIPTORS: Final = 0.05  # seconds


class AttestedServer:
    """Serves gRPC over the attested channel.

    Args:
        services: handlers made from the generated classes.
        issuer: what makes our evidence.
        verifier: who judges clients; None where clients do not attest.
        image: signed manifest of our own image, for clients of other images.
        observer: hears of every connection.
        limits: how many peers may be where.
        turns: whose turn it is at our device; None where whoever is pending may have a signature.
    """

    def __init__(
        self,
        services: Collection[IServable],
        *,
        issuer: Issuer,
        verifier: Verifier | None = None,
        image: SignedManifest | None = None,
        observer: Observer | None = None,
        limits: Limits | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._turns = turns
        self._silent = Room(self._limits.silent)
        self._pending = Room(self._limits.pending, queued=self._limits.queued, patience=self._limits.patience)
        self._served = Room(self._limits.served)
        self._http = GrpcServer(services, limits=self._limits, room=self._served)
        self._workers = Workers(issuer, verifier, own_threads=True)
        self._image = image
        self._observer = observer
        self._keys = ServerKeys()
        self._log = RefusalLog()
        self._meetings: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        port: int = self._listeners[0].getsockname()[1]
        return port

    @property
    def peers(self) -> dict[str, int]:
        """How many connections are where, for metrics."""
        return {
            "silent": len(self._silent),
            "queued": self._pending.waiting,
            "pending": len(self._pending),
            "served": len(self._served),
        }

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Args:
            host: address to listen on.
            port: TCP port; 0 for any.

        Raises:
            OSError: the address is in use, or not ours.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the socket's own interface
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)  # its connections inherit it
        self._listeners.append(listener)
        self._listen(listener)

    async def drain(self, grace: float) -> None:
        """Take no new connection, let running requests end, then close.

        Args:
            grace: seconds that requests may take.
        """
        self._stop_listening()
        await asyncio.sleep(0)  # whoever was accepted in this moment is a guest after it
        self._silent.dismiss_all()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await asyncio.gather(*self._meetings, return_exceptions=True)
                await self._http.idle()
        await self.close()

    async def close(self) -> None:
        """Close at once."""
        self._stop_listening()
        await asyncio.sleep(0)  # a task that is cancelled before it began closes nothing
        meetings = list(self._meetings)
        for meeting in meetings:
            meeting.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)
        await self._http.end()
        self._served.dismiss_all()
        self._workers.close()

    def _listen(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _stop_listening(self) -> None:
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection; between two of them the event loop hears what those before have said."""
        loop = asyncio.get_running_loop()
        try:
            connection, address = listener.accept()
        except BlockingIOError:
            return  # the peer is gone already
        except OSError as error:  # no file descriptor is left
            self._log.write(Refusal("anybody", Reason.CROWDED, f"cannot accept a connection: {error}"), loop.time())
            if not self._silent.thin_out() and not self._pending.thin_out():
                loop.remove_reader(listener)
                loop.call_later(_PAUSE_WITHOUT_DESCRIPTORS, self._listen, listener)
            return
        connection.setblocking(False)  # noqa: FBT003 - the same
        guest = Guest(str(address[0]), silent_since=loop.time())
        meeting = loop.create_task(self._meet(connection, guest))
        guest.dismiss = meeting.cancel
        self._meetings.add(meeting)
        meeting.add_done_callback(self._meetings.discard)

    async def _meet(self, connection: socket.socket, guest: Guest) -> None:
        """Go through the exchange with one client, and leave it to HTTP/2."""
        stream = FrameStream(guest)
        async with AsyncExitStack() as places:
            try:
                async with asyncio.timeout(self._limits.exchange):
                    await self._wait_for_place(connection, guest, places)
                    verdict = await self._attest(connection, stream, guest)
                answered = self._serve(stream, Peer(guest.address, verdict))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it was, it ends here and is counted
                refusal = Refusal.of(guest.address, stream.failure or error)
                _let_go(error)
                _let_go(stream.failure)
                stream.close()
                with suppress(OSError):  # what was said still goes out, and nobody waits for a peer that does not read
                    connection.shutdown(socket.SHUT_RDWR)
                self._refuse(refusal)
                return
            if self._workers.demands_evidence:
                # It keeps its place until it has what it came for: however many come, few are served at a time.
                with suppress(TimeoutError):
                    await asyncio.wait_for(answered.wait(), self._limits.patience)

    async def _wait_for_place(self, connection: socket.socket, guest: Guest, places: AsyncExitStack) -> None:
        with ExitStack() as ours:  # the socket is ours until TLS has it
            ours.callback(connection.close)
            self._silent.enter(guest)
            try:
                await _readable(connection)
            finally:
                self._silent.leave(guest)
            if not connection.recv(1, socket.MSG_PEEK):
                raise PeerUnavailableError("the peer hung up without a word")
            await places.enter_async_context(self._pending.place(guest))
            ours.pop_all()

    async def _attest(self, connection: socket.socket, stream: FrameStream, guest: Guest) -> Verdict | None:
        loop = asyncio.get_running_loop()
        key = self._keys.current()
        guest.silent_since = loop.time()
        # asyncio does so only for sockets that name their protocol, and accepted ones do not.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.connect_accepted_socket(
            lambda: stream, connection, ssl=key.context, ssl_handshake_timeout=self._limits.exchange
        )
        facts = stream.tls.facts(key.public_key)
        hello = await hear_client(stream)
        turn = self._turns.turn(guest.address) if self._turns is not None else nullcontext()
        return await meet_client(stream, hello, tls=facts, workers=self._workers, image=self._image, turn=turn)

    def _serve(self, stream: FrameStream, peer: Peer) -> asyncio.Event:
        """Hand a connection over; the event tells when its first request is answered, or will never be."""
        answered = asyncio.Event()
        guest = Guest(peer.address, stream.transport.abort, silent_since=asyncio.get_running_loop().time())
        stream.hand_over(self._http.protocol_for(peer, guest, answered))
        self._served.enter(guest)
        if self._observer is not None:
            self._observer.accepted(peer.address, peer.verdict)
        return answered

    def _refuse(self, refusal: Refusal) -> None:
        self._log.write(refusal, asyncio.get_running_loop().time())
        if self._observer is not None:
            self._observer.refused(refusal)


def _let_go(error: BaseException | None) -> None:
    """Free what an error holds: it, its traceback and the frames in there keep one another, and all of a connection."""
    while error is not None:
        error.__traceback__, error = None, error.__context__


async def _readable(connection: socket.socket) -> None:
    """Wait until a peer has said something, or hung up."""
    loop, descriptor = asyncio.get_running_loop(), connection.fileno()
    said = asyncio.Event()
    loop.add_reader(descriptor, said.set)
    try:
        await said.wait()
    finally:
        loop.remove_reader(descriptor)
