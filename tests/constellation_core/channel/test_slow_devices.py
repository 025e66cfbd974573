# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Slow TPMs and slow judgements cost whoever waits for them, and nobody else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from constellation_core.channel.binding import VERSION
from constellation_core.channel.client import attested_channel
from constellation_core.channel.rooms import Limits
from constellation_core.errors import PeerUnavailableError
from constellation_core.testing.devices import HeldIssuer, SlowIssuer, SlowVerifier
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.watching import until
from constellation_core.testing.wire import dial
from constellation_proto.attest_pb2 import ClientHello

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from attestation.issuer import Issuer
    from constellation_core.channel.verifier import Verifier
    from constellation_core.testing.devices import Machines

HARDWARE = 0.6  # seconds that the slowest TPMs take for a quote


async def connect(running: EchoServer, verifier: Verifier, issuer: Issuer | None, **options: float) -> None:
    async with attested_channel("127.0.0.1", running.port, verifier=verifier, issuer=issuer, **options) as channel:
        await say(channel, b"hello")


@dataclass
class Heart:
    """Counts how often the event loop comes around."""

    beats: int = 0


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heart]:
    heart = Heart()

    async def beat() -> None:
        while True:
            heart.beats += 1
            await asyncio.sleep(0.001)

    task = asyncio.create_task(beat())
    yield heart
    task.cancel()


async def test_a_slow_tpm_of_one_node_delays_no_other(tpms: Machines) -> None:
    held = HeldIssuer(tpms.client)
    async with echo_server(tpms.server, tpms.verifier) as running:
        slowest = asyncio.create_task(connect(running, tpms.verifier, held))
        await until(lambda: held.asked)
        for _ in range(10):
            await connect(running, tpms.verifier, tpms.client)
        assert not slowest.done()
        held.go_on.set()
        await slowest
    assert running.recorder.refusals == []


async def test_a_hardware_tpm_of_a_node_is_waited_for(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        await connect(running, tpms.verifier, SlowIssuer(tpms.client, HARDWARE))
    assert running.recorder.refusals == []


async def test_a_slow_tpm_of_the_server_does_not_stop_its_loop(tpms: Machines) -> None:
    slow = SlowIssuer(tpms.server, 0.3)
    async with echo_server(slow, tpms.verifier) as running, heartbeat() as heart:
        await connect(running, tpms.verifier, tpms.client)
    assert heart.beats > 30  # in 0.3 s, on however busy a machine


async def test_who_is_accepted_is_served_while_the_tpm_signs_for_others(tpms: Machines) -> None:
    held = HeldIssuer(tpms.server)
    held.go_on.set()
    async with (
        echo_server(held, tpms.verifier) as running,
        attested_channel("127.0.0.1", running.port, verifier=tpms.verifier, issuer=tpms.client) as channel,
    ):
        held.go_on.clear()
        others = asyncio.create_task(connect(running, tpms.verifier, tpms.client))
        await until(lambda: held.asked == 2)
        for _ in range(5):
            await say(channel, b"hello")
        assert not others.done()
        held.go_on.set()
        await others


@pytest.mark.parametrize("side", ["server", "client"])
async def test_a_slow_judgement_does_not_stop_the_loop(tpms: Machines, side: str) -> None:
    slow = SlowVerifier(tpms.verifier, 0.3)
    judge = {"server": tpms.verifier, "client": tpms.verifier} | {side: slow}
    async with echo_server(tpms.server, judge["server"]) as running, heartbeat() as heart:
        await connect(running, judge["client"], tpms.client)
    assert heart.beats > 30


async def test_a_slow_judgement_delays_no_signature(plain: Machines) -> None:
    """Devices and judgements have threads of their own."""
    slow = SlowVerifier(plain.verifier, 0.3)
    issuer = SlowIssuer(plain.server, 0.0)
    async with echo_server(issuer, slow) as running:
        meetings = [asyncio.create_task(connect(running, plain.verifier, plain.client)) for _ in range(6)]
        await until(lambda: len(issuer.bindings) == 6)
        assert len(running.recorder.passed) <= 2  # there are two judges
        await asyncio.gather(*meetings)


async def test_a_tpm_is_asked_for_one_thing_at_a_time(plain: Machines) -> None:
    busy = 0
    most = 0

    class Counting(SlowIssuer):
        def issue(self, binding: bytes):  # type: ignore[no-untyped-def] # noqa: ANN202 - as its base class
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            try:
                return super().issue(binding)
            finally:
                busy -= 1

    async with echo_server(Counting(plain.server, 0.01), plain.verifier) as running:
        await asyncio.gather(*(connect(running, plain.verifier, plain.client) for _ in range(8)))
    assert most == 1


async def test_no_signature_for_who_has_gone_away(plain: Machines) -> None:
    """Whoever says hello and leaves costs the TPM at most what it has begun."""
    held = HeldIssuer(plain.server)
    async with echo_server(held) as running:
        for count in range(1, 10):
            async with dial(running.port) as wire:
                wire.send(ClientHello(version=VERSION, nonce=bytes(32)))
                await until(lambda: held.asked)
            await running.recorder.outcome(count)
        assert running.server.peers["pending"] == 0
        held.go_on.set()
        await connect(running, plain.verifier, None)
    assert held.asked == 2


async def test_an_exchange_that_takes_too_long_ends(plain: Machines) -> None:
    slow = SlowIssuer(plain.server, 0.3)
    async with echo_server(slow, limits=Limits(exchange=0.1)) as running:
        with pytest.raises(PeerUnavailableError):
            await connect(running, plain.verifier, None)
        assert running.server.peers["pending"] == 0


async def test_a_client_does_not_wait_for_ever(plain: Machines) -> None:
    async with echo_server(SlowIssuer(plain.server, 0.3)) as running:
        with pytest.raises(PeerUnavailableError, match=r"within 0\.1 s"):
            await connect(running, plain.verifier, None, timeout=0.1)
