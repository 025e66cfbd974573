# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Servers and clients leave nothing behind: no task, no thread, no file descriptor; and drain before they end."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from grpclib.exceptions import StreamTerminatedError
from OpenSSL import SSL

from constellation_core.channel import client
from constellation_core.channel.binding import VERSION
from constellation_core.channel.client import attested_channel
from constellation_core.channel.frames import encode_frame
from constellation_core.channel.refusals import Reason
from constellation_core.channel.rooms import Limits
from constellation_core.channel.server import AttestedServer
from constellation_core.channel.stream import FrameStream
from constellation_core.channel.tls import ALPN, TlsObject, client_context
from constellation_core.errors import PeerUnavailableError
from constellation_core.image_manifest import SignedManifest
from constellation_core.testing.devices import SlowIssuer
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.peers import PREFACE, FakeClient
from constellation_core.testing.watching import until
from constellation_core.testing.wire import dial
from constellation_proto.attest_pb2 import ClientHello

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from constellation_core.testing.devices import Machines


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a list of names is what is counted


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("issue", "judge"))]


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """See that whatever the block starts, ends."""
    gc.collect()
    tasks, opened = len(asyncio.all_tasks()), descriptors()
    yield
    await until(lambda: len(asyncio.all_tasks()) == tasks)
    await until(lambda: descriptors() == opened)
    await until(lambda: not workers())


async def connect(running: EchoServer, machines: Machines) -> None:
    judge, issuer = machines.verifier, machines.client
    async with attested_channel("127.0.0.1", running.port, verifier=judge, issuer=issuer) as channel:
        await say(channel, b"hello")


async def test_a_server_leaves_nothing(plain: Machines) -> None:
    async with nothing_left(), echo_server(plain.server, plain.verifier) as running:
        for _ in range(3):
            await connect(running, plain)


async def nothing_said(running: EchoServer, _machines: Machines) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.close()


async def no_tls(running: EchoServer, _machines: Machines) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(PREFACE)
    await reader.read()
    writer.close()


async def no_frame(running: EchoServer, _machines: Machines) -> None:
    async with dial(running.port) as wire:
        wire.send(PREFACE)
        await wire.rest()


async def no_evidence(running: EchoServer, _machines: Machines) -> None:
    async with dial(running.port) as wire:
        await FakeClient().meet(wire)


@pytest.mark.parametrize(
    "visit", [nothing_said, no_tls, no_frame, no_evidence, connect], ids=lambda visit: visit.__name__
)
async def test_connections_go_when_they_are_over(
    plain: Machines, visit: Callable[[EchoServer, Machines], Awaitable[None]]
) -> None:
    """And not when somebody looks for garbage: until then each would keep a hundred kilobytes of OpenSSL's."""

    def held() -> int:
        return sum(isinstance(thing, TlsObject | FrameStream) for thing in gc.get_objects())

    async with nothing_left(), echo_server(plain.server, plain.verifier) as running:
        gc.disable()
        try:
            before = held()
            for count in range(1, 11):
                await visit(running, plain)
                await running.recorder.outcome(count)
            await until(lambda: held() <= before)
        finally:
            gc.enable()


async def test_a_server_that_ends_in_the_middle_of_everything_leaves_nothing(plain: Machines) -> None:
    async with nothing_left():
        async with echo_server(SlowIssuer(plain.server, 0.05), plain.verifier) as running:
            running.echo.open.clear()
            silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(5)]
            connecting = [asyncio.create_task(connect(running, plain)) for _ in range(8)]
            await until(lambda: running.echo.waiting >= 2)
        outcomes = await asyncio.gather(*connecting, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {PeerUnavailableError, StreamTerminatedError}
        for connection in silent:
            connection.close()


async def test_close_ends_connections_at_once(plain: Machines) -> None:
    async with echo_server(plain.server, plain.verifier) as running:
        running.echo.open.clear()
        request = asyncio.create_task(connect(running, plain))
        await until(lambda: running.echo.waiting)
        await running.server.close()
        with pytest.raises(StreamTerminatedError):
            await request
        assert not any(running.server.peers.values())


async def test_close_ends_what_was_accepted_in_the_same_moment(plain: Machines) -> None:
    async with nothing_left(), echo_server(plain.server) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            running.server._accept(running.server._listeners[0])  # its task has not begun
            await running.server.close()
            assert await asyncio.to_thread(connection.recv, 1) == b""
        assert len(running.recorder.refusals) == 1


async def test_nothing_is_handed_over_that_is_closing(plain: Machines) -> None:
    """Asyncio tells a protocol that its connection is lost one round later, and that would be the wrong protocol."""

    class Next(asyncio.Protocol):
        def connection_made(self, _transport: asyncio.BaseTransport) -> None:
            pytest.fail("it would wait for ever")

    async with nothing_left(), echo_server(plain.server) as running:
        stream = FrameStream()
        await asyncio.get_running_loop().create_connection(
            lambda: stream, "127.0.0.1", running.port, ssl=client_context(), server_hostname=""
        )
        stream.abort()
        with pytest.raises(PeerUnavailableError):
            stream.hand_over(Next())


async def test_close_twice_is_close_once(plain: Machines) -> None:
    async with echo_server(plain.server) as running:
        await running.server.close()


async def test_drain_lets_requests_end_and_nobody_new_in(plain: Machines) -> None:
    async with nothing_left(), echo_server(plain.server, plain.verifier) as running:
        running.echo.open.clear()
        port = running.port
        request = asyncio.create_task(connect(running, plain))
        await until(lambda: running.echo.waiting)
        draining = asyncio.create_task(running.server.drain(grace=20))
        await until(lambda: not running.server._listeners)
        with pytest.raises(PeerUnavailableError):
            async with attested_channel("127.0.0.1", port, verifier=plain.verifier):
                pass
        assert not request.done()
        running.echo.open.set()
        await request
        await draining


async def test_drain_lets_exchanges_end(plain: Machines) -> None:
    slow = SlowIssuer(plain.server, 0.1)
    async with nothing_left(), echo_server(slow, plain.verifier) as running:
        request = asyncio.create_task(connect(running, plain))
        await until(lambda: slow.bindings)
        await running.server.drain(grace=20)
        await request
        assert running.recorder.refusals == []


async def test_drain_does_not_wait_for_ever(plain: Machines) -> None:
    async with nothing_left(), echo_server(plain.server, plain.verifier) as running:
        running.echo.open.clear()
        request = asyncio.create_task(connect(running, plain))
        await until(lambda: running.echo.waiting)
        async with asyncio.timeout(5):
            await running.server.drain(grace=0.05)
        with pytest.raises(StreamTerminatedError):
            await request


async def test_drain_does_not_wait_for_who_says_nothing(plain: Machines) -> None:
    async with nothing_left(), echo_server(plain.server, plain.verifier) as running:
        idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(3)]
        await until(lambda: running.server.peers["silent"] == 3)
        async with asyncio.timeout(5):
            await running.server.drain(grace=60)
        for connection in idle:
            connection.close()


async def test_a_client_that_is_cancelled_anywhere_leaves_nothing(plain: Machines) -> None:
    """In TCP, in TLS, waiting for a frame, for a TPM, for a judgement: after each round of the event loop."""
    async with nothing_left(), echo_server(plain.server, plain.verifier) as running:
        for rounds in range(80):
            task = asyncio.create_task(connect(running, plain))
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await until(lambda: not any(running.server.peers.values()))
        await connect(running, plain)


async def test_a_client_that_is_cancelled_while_devices_work_leaves_nothing(plain: Machines) -> None:
    slow = SlowIssuer(plain.client, 0.1)
    async with nothing_left(), echo_server(plain.server, plain.verifier) as running:
        task = asyncio.create_task(connect(running, plain._replace(client=slow)))
        await until(lambda: slow.bindings)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await running.recorder.outcome()).reasons == [Reason.CLOSED]


async def test_a_failed_client_leaves_nothing(plain: Machines) -> None:
    async with nothing_left():
        with pytest.raises(PeerUnavailableError):
            async with attested_channel("127.0.0.1", 1, verifier=plain.verifier):
                pass


async def test_nobody_waits_long_for_a_host_that_is_silent(plain: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECTION_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(3):  # whose queue is full does not answer
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        async with nothing_left():
            with pytest.raises(PeerUnavailableError, match="nobody answered within"):
                async with attested_channel("127.0.0.1", full.getsockname()[1], verifier=plain.verifier):
                    pass


async def test_a_channel_does_not_connect_again(plain: Machines) -> None:
    async with (
        echo_server(plain.server) as running,
        attested_channel("127.0.0.1", running.port, verifier=plain.verifier) as channel,
    ):
        await say(channel, b"hello")
        running.server._served.dismiss_all()
        with pytest.raises((PeerUnavailableError, StreamTerminatedError)):
            await say(channel, b"hello")
        with pytest.raises(PeerUnavailableError, match="the attested connection is closed"):
            await say(channel, b"hello")


async def test_the_key_of_a_server_changes_every_hour_and_old_connections_live(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        judge, issuer = tpms.verifier, tpms.client
        async with attested_channel("127.0.0.1", running.port, verifier=judge, issuer=issuer) as old:
            key = running.server._keys.current()
            assert running.server._keys.current(key.expires - timedelta(seconds=1)) is key
            after = running.server._keys.current(key.expires)
            assert after.public_key != key.public_key
            async with dial(running.port) as wire:
                assert wire.facts.server_key == after.public_key
                await FakeClient(tpms.client).meet(wire)
            await connect(running, tpms)
            assert await say(old, b"hello") == b"hello"


async def test_two_servers_have_two_keys(plain: Machines) -> None:
    async with (
        echo_server(plain.server) as one,
        echo_server(plain.server) as other,
        dial(one.port) as first,
        dial(other.port) as second,
    ):
        assert first.facts.server_key != second.facts.server_key
        assert first.facts.exporter != second.facts.exporter


async def test_who_does_not_read_is_not_waited_for(plain: Machines) -> None:
    """The hello of a server with a long manifest does not fit into the buffers of a client that reads nothing."""
    image = SignedManifest(b"x" * 1000_000, b"")
    limits = Limits(exchange=0.2)
    async with nothing_left(), echo_server(plain.server, image=image, limits=limits) as running:
        with socket.socket() as small:
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.connect(("127.0.0.1", running.port))
            await asyncio.to_thread(say_hello, small)
            before = descriptors()
            assert (await running.recorder.outcome()).reasons == [Reason.TIMEOUT]
            await until(lambda: descriptors() < before)


def say_hello(connection: socket.socket) -> None:
    """Go as far as the first frame, and do not read the answer."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_alpn_protos([ALPN])
    tls = SSL.Connection(context, connection)
    tls.set_connect_state()
    tls.do_handshake()
    tls.sendall(encode_frame(ClientHello(version=VERSION, nonce=bytes(32))))


async def test_ipv6_where_there_is_one(plain: Machines) -> None:
    server = AttestedServer([], issuer=plain.server)
    try:
        await server.start("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    async with attested_channel("::1", server.port, verifier=plain.verifier):
        pass
    await server.close()


async def test_an_address_that_is_taken_is_an_error(plain: Machines) -> None:
    async with echo_server(plain.server) as running:
        server = AttestedServer([], issuer=plain.server)
        with pytest.raises(OSError, match="already in use"):
            await server.start("127.0.0.1", running.port)
        await server.close()


async def test_reasons_of_the_end(plain: Machines) -> None:
    async with echo_server(plain.server) as running:
        with socket.create_connection(("127.0.0.1", running.port)):
            await until(lambda: running.server.peers["silent"])
            await running.server.close()
        assert running.recorder.reasons == [Reason.CROWDED]
