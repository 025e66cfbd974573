# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is said about connections: to observers once for each, to the log once a minute for each peer and reason."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError
from constellation_core.channel.binding import VERSION
from constellation_core.channel.client import attested_channel
from constellation_core.channel.refusals import Reason, Refusal, RefusalLog
from constellation_core.errors import (
    BusyError,
    ChannelError,
    InsecureConnectionError,
    PeerNotAcceptedError,
    PeerUnavailableError,
    RefusedError,
)
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.peers import PREFACE, FakeClient
from constellation_core.testing.wire import dial
from constellation_proto.attest_pb2 import ClientHello

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from constellation_core.testing.devices import Machines

NOT_ACCEPTED = Refusal("192.0.2.1", Reason.NOT_ACCEPTED, "no evidence")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("constellation_core")]


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="constellation_core")
    return caplog


def test_a_peer_and_reason_are_logged_once_a_minute(written: pytest.LogCaptureFixture) -> None:
    log = RefusalLog()
    for second in (0.0, 1.0, 59.9):
        log.write(NOT_ACCEPTED, second)
    assert lines(written) == ["refused 192.0.2.1 (evidence): no evidence"]
    log.write(NOT_ACCEPTED, 60.0)
    assert lines(written)[1:] == ["refused 192.0.2.1 (evidence): no evidence (2 more like it in between)"]


def test_another_peer_or_reason_is_another_line(written: pytest.LogCaptureFixture) -> None:
    log = RefusalLog()
    for address in ("192.0.2.1", "192.0.2.2"):
        for reason in Reason:
            log.write(Refusal(address, reason, "no"), 0.0)
    assert len(lines(written)) == 2 * len(Reason)


def test_what_is_remembered_is_bounded() -> None:
    log = RefusalLog()
    for number in range(5000):
        log.write(Refusal(f"10.0.{number >> 8}.{number & 255}", Reason.NOT_ACCEPTED, "no"), 0.0)
    assert len(log._seen) <= 1024


def test_a_line_is_one_short_line() -> None:
    """What a peer sent may stand in a reason: it must not write log lines of its own, nor megabytes."""
    error = PeerNotAcceptedError("register \x1b[2J\nrefused 192.0.2.9 (evidence): forged" + "x" * 100_000)
    detail = Refusal.of("192.0.2.1", error).detail
    assert detail.isprintable()
    assert len(detail) <= 1000


@pytest.mark.parametrize(
    "error, reason",
    [
        (PeerNotAcceptedError("x"), Reason.NOT_ACCEPTED),
        (PeerUnavailableError("x"), Reason.CLOSED),
        (BusyError("x", retry_after=1), Reason.BUSY),
        (InsecureConnectionError("x"), Reason.PROTOCOL),
        (RefusedError("x"), Reason.PROTOCOL),
        (ChannelError("x"), Reason.PROTOCOL),
        (DeviceError("x"), Reason.OWN_DEVICE),
        (TimeoutError(), Reason.TIMEOUT),
        (ssl.SSLError("x"), Reason.NOT_TLS),
        (ConnectionResetError(), Reason.CLOSED),
        (asyncio.CancelledError(), Reason.CROWDED),
        (ZeroDivisionError(), Reason.UNEXPECTED),
    ],
    ids=repr,
)
def test_each_error_has_its_reason(error: BaseException, reason: Reason) -> None:
    refusal = Refusal.of("192.0.2.1", error)
    assert refusal.reason is reason
    assert refusal.detail


def test_a_surprise_says_where_it_happened() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // int("0")
    detail = Refusal.of("192.0.2.1", caught.value).detail
    assert detail.startswith("ZeroDivisionError: integer division or modulo by zero (")
    assert "test_refusal_reports.py:" in detail


def test_operators_are_warned_of_what_they_can_change() -> None:
    assert {reason for reason in Reason if reason.is_news} == {
        Reason.NOT_ACCEPTED,
        Reason.OWN_DEVICE,
        Reason.UNEXPECTED,
    }


async def passes(running: EchoServer, machines: Machines) -> None:
    judge, issuer = machines.verifier, machines.client
    async with attested_channel("127.0.0.1", running.port, verifier=judge, issuer=issuer) as channel:
        for _ in range(3):
            await say(channel, b"hello")


async def hangs_up(running: EchoServer, _machines: Machines) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.close()


async def speaks_no_tls(running: EchoServer, _machines: Machines) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(PREFACE)
    await reader.read()
    writer.close()


async def hangs_up_after_tls(running: EchoServer, _machines: Machines) -> None:
    async with dial(running.port):
        pass


async def speaks_out_of_turn(running: EchoServer, _machines: Machines) -> None:
    async with dial(running.port) as wire:
        wire.send(ClientHello(version=VERSION, nonce=bytes(32)), PREFACE)
        await wire.rest()


async def has_no_evidence(running: EchoServer, _machines: Machines) -> None:
    async with dial(running.port) as wire:
        await FakeClient().meet(wire)


async def goes_away_while_we_sign(running: EchoServer, _machines: Machines) -> None:
    async with dial(running.port) as wire:
        wire.send(ClientHello(version=VERSION, nonce=bytes(32)))


async def goes_away_while_we_judge(running: EchoServer, machines: Machines) -> None:
    async with dial(running.port) as wire:
        client = FakeClient(machines.client, after_evidence=b"")
        await client.greet(wire)
        await client.attest(wire)


async def breaks_http2(running: EchoServer, machines: Machines) -> None:
    async with dial(running.port) as wire:
        await FakeClient(machines.client).meet(wire)
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        await wire.rest()


ATTEMPTS = [
    passes,
    hangs_up,
    speaks_no_tls,
    hangs_up_after_tls,
    speaks_out_of_turn,
    has_no_evidence,
    goes_away_while_we_sign,
    goes_away_while_we_judge,
    breaks_http2,
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.__name__)
async def test_every_connection_is_observed_once(
    plain: Machines, attempt: Callable[[EchoServer, Machines], Awaitable[None]]
) -> None:
    async with echo_server(plain.server, plain.verifier) as running:
        for count in range(1, 4):
            await attempt(running, plain)
            await running.recorder.outcome(count)
    recorder = running.recorder
    assert len(recorder.passed) + len(recorder.refusals) == 3
    assert {refusal.address for refusal in recorder.refusals} <= {"127.0.0.1"}


async def test_the_log_of_a_server_is_quiet_and_has_no_tracebacks(
    plain: Machines, written: pytest.LogCaptureFixture
) -> None:
    written.set_level(logging.INFO)
    async with echo_server(plain.server, plain.verifier) as running:
        for attempt in ATTEMPTS * 5:
            await attempt(running, plain)
        await running.recorder.outcome(5 * len(ATTEMPTS))
    assert len(lines(written)) == len(set(running.recorder.reasons))
    assert [record for record in written.records if record.exc_info or record.levelno > logging.WARNING] == []
