# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Many connections at once: attackers that say nothing or too little, and nodes that all start at the same time."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL

from constellation_core.channel.client import attested_channel
from constellation_core.channel.refusals import Reason
from constellation_core.channel.rooms import Limits
from constellation_core.testing.devices import SlowIssuer
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.flood import flood
from constellation_core.testing.peers import FakeClient
from constellation_core.testing.watching import until
from constellation_core.testing.wire import Wire, dial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from constellation_core.testing.devices import Machines

ATTACKER = "127.0.0.66"
PROMISED = 2.0  # seconds in which a node gets through, whatever others do


def first_flight() -> bytes:
    """What a TLS client says first."""
    connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    connection.set_connect_state()
    with suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(1 << 16)


SAID = {"nothing": b"", "three bytes": b"\x16\x03\x01", "the beginning of TLS": first_flight()}
SAYING = pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())


async def get_through(running: EchoServer, machines: Machines, *, within: float = PROMISED) -> None:
    """Connect with evidence of both sides, and ask something."""
    judge, issuer = machines.verifier, machines.client
    async with asyncio.timeout(within):
        async with attested_channel("127.0.0.1", running.port, verifier=judge, issuer=issuer) as channel:
            assert await say(channel, b"hello") == b"hello"


async def stall(stack: AsyncExitStack, running: EchoServer, *, address: str = "127.0.0.1") -> Wire:
    """Have the server make evidence, and then say nothing more."""
    wire = await stack.enter_async_context(dial(running.port, address=address))
    await FakeClient().greet(wire)
    return wire


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@SAYING
async def test_half_open_connections_keep_nobody_out(tpms: Machines, said: bytes) -> None:
    limits = Limits(silent=64, queued=128, pending=16)
    async with (
        echo_server(tpms.server, tpms.verifier, limits=limits) as running,
        flood(running.port, connections=600, address=ATTACKER, said=said, again=False),
    ):
        while len(running.recorder.refusals) < 600 - 64 - 128 - 16:
            await get_through(running, tpms)
        await get_through(running, tpms)
        assert set(running.recorder.reasons) == {Reason.CROWDED}


@pytest.mark.slow
@SAYING
async def test_ten_thousand_half_open_connections_keep_nobody_out(tpms: Machines, said: bytes) -> None:
    async with (
        echo_server(tpms.server, tpms.verifier) as running,
        flood(running.port, connections=10_000, address=ATTACKER, said=said, again=False),
    ):
        while len(running.recorder.refusals) < 10_000 - 1024 - 1024 - 64:
            await get_through(running, tpms)
        await get_through(running, tpms)


@pytest.mark.slow
async def test_attackers_that_come_again_and_again(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        async with flood(running.port, connections=2000, address=ATTACKER, again=True):
            for _ in range(10):
                await get_through(running, tpms, within=2 * PROMISED)
        assert len(running.recorder.refusals) > 2000


async def test_silent_attackers_at_the_address_of_a_node_keep_it_not_out(plain: Machines) -> None:
    limits = Limits(silent=8)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running:
        async with flood(running.port, connections=100, address="127.0.0.1", again=False):
            await get_through(running, plain)
            await until(lambda: len(running.recorder.refusals) >= 92)
            await get_through(running, plain)
        assert running.server.peers["silent"] <= 8


async def test_who_stalls_after_the_hello_leaves_when_others_wait(plain: Machines, stack: AsyncExitStack) -> None:
    limits = Limits(pending=4, patience=0.2)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running:
        wires = [await stall(stack, running) for _ in range(4)]
        await asyncio.gather(*(get_through(running, plain) for _ in range(4)))
        assert await wires[0].rest() == b""
        assert set(running.recorder.reasons) == {Reason.CROWDED}


async def test_who_stalls_may_stay_while_nobody_waits(plain: Machines, stack: AsyncExitStack) -> None:
    limits = Limits(pending=4, patience=0.0)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running:
        for _ in range(3):
            await stall(stack, running)
        await get_through(running, plain)
        assert running.recorder.refusals == []
        assert running.server.peers["pending"] == 3


async def test_greedy_addresses_have_less_patience(plain: Machines, stack: AsyncExitStack) -> None:
    """A node of another address need not wait for as long as one of the attackers'."""
    limits = Limits(pending=4, patience=2.0)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running:
        for _ in range(4):
            await stall(stack, running, address=ATTACKER)
        await get_through(running, plain, within=1.5)
        assert running.recorder.reasons == [Reason.CROWDED]


async def test_no_more_exchanges_than_allowed(plain: Machines) -> None:
    slow = SlowIssuer(plain.server, 0.03)
    async with echo_server(slow, limits=Limits(pending=3)) as running:
        meetings = [asyncio.create_task(get_through(running, plain, within=30)) for _ in range(12)]
        most = 0
        while not all(meeting.done() for meeting in meetings):
            most = max(most, running.server.peers["pending"])
            await asyncio.sleep(0.005)
        await asyncio.gather(*meetings)
    assert most == 3
    assert running.recorder.refusals == []


async def test_another_address_is_served_before_the_rest_of_a_long_line(plain: Machines, stack: AsyncExitStack) -> None:
    slow = SlowIssuer(plain.server, 0.02)
    order: list[str] = []
    async with echo_server(slow, limits=Limits(pending=1)) as running:

        async def come(address: str) -> None:
            wire = await stack.enter_async_context(dial(running.port, address=address))
            await FakeClient().meet(wire)
            order.append(address)
            wire.cut()

        crowd = [asyncio.create_task(come(ATTACKER)) for _ in range(8)]
        await until(lambda: running.server.peers["queued"] == 7)
        await asyncio.gather(come("127.0.0.7"), *crowd)
    assert order.index("127.0.0.7") <= 2


async def test_when_the_line_is_full_the_last_of_the_busiest_address_leaves(
    plain: Machines, stack: AsyncExitStack
) -> None:
    limits = Limits(pending=1, queued=3, patience=60.0, exchange=120.0)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running:
        await stall(stack, running, address=ATTACKER)
        async with flood(running.port, connections=10, address=ATTACKER, said=b"\x16", again=False):
            await until(lambda: len(running.recorder.refusals) == 7)
            _, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(b"\x16")
            await until(lambda: len(running.recorder.refusals) == 8)
            writer.close()
        assert {refusal.address for refusal in running.recorder.refusals[:8]} == {ATTACKER}


async def storm(running: EchoServer, machines: Machines, nodes: int) -> None:
    await asyncio.gather(*(get_through(running, machines, within=60) for _ in range(nodes)))


async def test_nodes_that_start_together_all_get_through(plain: Machines) -> None:
    limits = Limits(silent=8, pending=8)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running:
        await storm(running, plain, 150)
    assert running.recorder.refusals == []
    assert len(running.recorder.passed) == 150


@pytest.mark.slow
async def test_a_thousand_nodes_all_get_through(plain: Machines) -> None:
    async with echo_server(plain.server, plain.verifier) as running:
        await storm(running, plain, 1000)
    assert running.recorder.refusals == []


async def test_accepted_connections_that_idle_are_bounded(plain: Machines, stack: AsyncExitStack) -> None:
    async with echo_server(plain.server, limits=Limits(served=4)) as running:
        wires = []
        for _ in range(8):
            wire = await stack.enter_async_context(dial(running.port))
            await FakeClient().meet(wire)
            wires.append(wire)
        for wire in wires[:4]:
            await wire.rest()
        assert running.server.peers["served"] == 4
        await get_through(running, plain)
        assert running.recorder.refusals == []


async def test_a_node_keeps_its_place_until_it_has_its_answer(plain: Machines) -> None:
    limits = Limits(pending=1, patience=30.0)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running:
        running.echo.open.clear()
        nodes = [asyncio.create_task(get_through(running, plain, within=30)) for _ in range(3)]
        await until(lambda: running.echo.waiting and running.server.peers["queued"] == 2)
        running.echo.open.set()
        await asyncio.gather(*nodes)


async def test_an_accepted_node_that_asks_nothing_gives_its_place_away(plain: Machines, stack: AsyncExitStack) -> None:
    limits = Limits(pending=2, patience=0.1)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running:
        for _ in range(2):
            wire = await stack.enter_async_context(dial(running.port))
            await FakeClient(plain.client).meet(wire)
        await get_through(running, plain)
        assert running.recorder.refusals == []


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Have no more file descriptors than some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open("rb") as opened:
        lowest = opened.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_file_descriptors_who_is_silent_gives_one_back(
    plain: Machines, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="constellation_core")
    async with echo_server(plain.server, plain.verifier) as running:
        await get_through(running, plain)
        with descriptors_left(40):
            await stack.enter_async_context(flood(running.port, connections=100, address=ATTACKER, again=False))
            await until(lambda: len(running.recorder.refusals) >= 60)
        await get_through(running, plain)
        assert set(running.recorder.reasons) == {Reason.CROWDED}
    assert caplog.text.count("cannot accept a connection") == 1


async def test_without_anybody_to_send_away_a_server_waits(plain: Machines, stack: AsyncExitStack) -> None:
    async with echo_server(plain.server) as running:
        wire = await stack.enter_async_context(dial(running.port))
        await FakeClient().meet(wire)
        with socket.socket() as waiting:
            with descriptors_left(0):
                waiting.connect(("127.0.0.1", running.port))
                with pytest.raises(TimeoutError):
                    await until(lambda: running.server.peers["silent"], timeout=0.2)
            await until(lambda: running.server.peers["silent"])


async def test_a_storm_from_a_process_that_is_slow_to_speak(plain: Machines) -> None:
    """All of its connections are open before it says the first byte on any."""
    async with echo_server(plain.server) as running:
        sockets = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(500)]
        await until(lambda: running.server.peers["silent"] == 500)
        for connection in sockets:
            connection.send(SAID["the beginning of TLS"])
        await until(lambda: running.server.peers["silent"] == 0)
        assert running.recorder.refusals == []
        for connection in sockets:
            connection.close()
