# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Frames that are not what they must be, really sent, to the server and to the client."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from constellation_core.channel.binding import NONCE_SIZE, VERSION
from constellation_core.channel.client import attested_channel
from constellation_core.channel.frames import MAX_FRAME, FrameReader, encode_frame
from constellation_core.channel.refusals import Reason
from constellation_core.channel.rooms import Limits
from constellation_core.errors import ChannelError, InsecureConnectionError, PeerUnavailableError, RefusedError
from constellation_core.testing.devices import SlowVerifier
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.peers import PREFACE, FakeClient, FakeServer
from constellation_core.testing.watching import until
from constellation_core.testing.wire import Wire, dial, listening
from constellation_proto.attest_pb2 import CODE_UNSPECIFIED, ClientEvidence, ClientHello, ServerHello, Verdict

if TYPE_CHECKING:
    from constellation_core.testing.devices import Machines

HELLO = ClientHello(version=VERSION, nonce=bytes(NONCE_SIZE))
TOO_LONG = (MAX_FRAME + 1).to_bytes(4, "big")
GARBAGE = {
    "oversized": TOO_LONG + bytes(64),
    "as long as can be said": b"\xff\xff\xff\xff",
    "a broken message": b"\0\0\0\x04\xff\xff\xff\xff",
    "a version that is no text": b"\0\0\0\x03\x0a\x01\xff",
    "HTTP/2 at once": PREFACE,
    "an empty frame": bytes(4),
    "another version": encode_frame(ClientHello(version="constellation-attest/2", nonce=bytes(NONCE_SIZE))),
    "no version": encode_frame(ClientHello(nonce=bytes(NONCE_SIZE))),
    "no nonce": encode_frame(ClientHello(version=VERSION)),
    "a short nonce": encode_frame(ClientHello(version=VERSION, nonce=bytes(NONCE_SIZE - 1))),
    "a long nonce": encode_frame(ClientHello(version=VERSION, nonce=bytes(NONCE_SIZE + 1))),
    "two frames in one record": encode_frame(HELLO) * 2,
    "HTTP/2 in the same record": encode_frame(HELLO) + PREFACE,
}
BAD_SERVER_HELLOS = {
    "oversized": TOO_LONG,
    "a broken message": b"\0\0\0\x04\xff\xff\xff\xff",
    "an empty frame": bytes(4),
    "a short nonce": encode_frame(ServerHello(nonce=bytes(NONCE_SIZE - 1))),
    "a long nonce": encode_frame(ServerHello(nonce=bytes(NONCE_SIZE + 1))),
    "two frames in one record": encode_frame(ServerHello(nonce=bytes(NONCE_SIZE))) * 2,
    "HTTP/2 in the same record": encode_frame(ServerHello(nonce=bytes(NONCE_SIZE))) + bytes(9),
}


async def refused(running: EchoServer, reason: Reason) -> None:
    recorder = await running.recorder.outcome()
    assert recorder.passed == []
    assert recorder.reasons == [reason]


async def connect(port: int, machines: Machines, **options: float) -> None:
    judge, issuer = machines.verifier, machines.client
    async with attested_channel("127.0.0.1", port, verifier=judge, issuer=issuer, **options) as channel:
        await say(channel, b"hello")


@pytest.mark.parametrize("said", GARBAGE.values(), ids=GARBAGE.keys())
async def test_a_bad_first_frame(plain: Machines, said: bytes) -> None:
    async with echo_server(plain.server, plain.verifier) as running, dial(running.port) as wire:
        wire.send(said)
        assert await wire.rest() == b""
        await refused(running, Reason.PROTOCOL)


@pytest.mark.parametrize("said", [TOO_LONG, b"\0\0\0\x04\xff\xff\xff\xff", PREFACE], ids=repr)
async def test_a_bad_second_frame(plain: Machines, said: bytes) -> None:
    async with echo_server(plain.server, plain.verifier) as running, dial(running.port) as wire:
        await FakeClient().greet(wire)
        wire.send(said)
        assert await wire.rest() == b""
        await refused(running, Reason.PROTOCOL)


@pytest.mark.parametrize("cut", range(0, len(encode_frame(HELLO)), 7))
async def test_a_frame_that_ends_too_early(plain: Machines, cut: int) -> None:
    async with echo_server(plain.server, plain.verifier) as running, dial(running.port) as wire:
        wire.send(encode_frame(HELLO)[:cut])
        wire.end()
        await refused(running, Reason.CLOSED)


async def test_evidence_that_ends_too_early(plain: Machines) -> None:
    async with echo_server(plain.server, plain.verifier) as running, dial(running.port) as wire:
        client = FakeClient(plain.client)
        await client.greet(wire)
        wire.send(encode_frame(ClientEvidence(evidence=await client.make_evidence(wire)))[:-1])
        wire.end()
        await refused(running, Reason.CLOSED)


@pytest.mark.parametrize("said", [b"", b"\0", encode_frame(HELLO)[:-1]], ids=len)
async def test_a_client_that_falls_silent(plain: Machines, said: bytes) -> None:
    limits = Limits(exchange=0.1)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running, dial(running.port) as wire:
        wire.send(said)
        assert await wire.rest() == b""
        await refused(running, Reason.TIMEOUT)


async def test_a_client_that_falls_silent_after_its_hello(plain: Machines) -> None:
    limits = Limits(exchange=0.1)
    async with echo_server(plain.server, plain.verifier, limits=limits) as running, dial(running.port) as wire:
        await FakeClient().greet(wire)
        assert await wire.rest() == b""
        await refused(running, Reason.TIMEOUT)


async def test_one_byte_at_a_time(plain: Machines) -> None:
    """Slow, and right."""
    async with echo_server(plain.server) as running, dial(running.port) as wire:
        for byte in encode_frame(HELLO):
            wire.send(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await wire.receive(ServerHello)).nonce


async def test_the_longest_frame_is_read(plain: Machines) -> None:
    async with echo_server(plain.server, plain.verifier) as running, dial(running.port) as wire:
        await FakeClient().greet(wire)
        most = MAX_FRAME - 4  # tag and length of the field
        wire.send(ClientEvidence(evidence=bytes(most)))
        assert (await wire.receive(Verdict)).mismatches == []
        await refused(running, Reason.NOT_ACCEPTED)


async def test_http2_in_the_same_record_as_the_evidence(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running, dial(running.port) as wire:
        client = FakeClient(tpms.client, after_evidence=PREFACE)
        with pytest.raises(EOFError):
            await client.meet(wire)
        await refused(running, Reason.PROTOCOL)


@pytest.mark.parametrize("said", [b"\0", PREFACE, encode_frame(ClientEvidence())], ids=len)
async def test_speaking_while_the_server_judges(tpms: Machines, said: bytes) -> None:
    """The evidence is good and would be accepted; speaking before the verdict is what is refused."""
    slow = SlowVerifier(tpms.verifier, 0.05)
    async with echo_server(tpms.server, slow) as running, dial(running.port) as wire:
        client = FakeClient(tpms.client)
        await client.greet(wire)
        wire.send(ClientEvidence(evidence=await client.make_evidence(wire)))
        await until(lambda: slow.judged)
        wire.send(said)
        assert await wire.rest() == b""
        await refused(running, Reason.PROTOCOL)
        assert not any(running.server.peers.values())


async def test_speaking_while_the_server_signs(plain: Machines) -> None:
    async with echo_server(plain.server, plain.verifier) as running, dial(running.port) as wire:
        wire.send(HELLO)
        wire.send(PREFACE)
        await wire.rest()
        await refused(running, Reason.PROTOCOL)


@pytest.mark.parametrize("said", BAD_SERVER_HELLOS.values(), ids=BAD_SERVER_HELLOS.keys())
async def test_a_bad_frame_of_a_server(plain: Machines, said: bytes) -> None:
    async def meet(wire: Wire) -> None:
        await wire.receive(ClientHello)
        wire.send(said)
        await wire.rest()

    async with listening(meet) as port:
        with pytest.raises(InsecureConnectionError):
            await connect(port, plain)


async def test_a_server_that_speaks_first(plain: Machines) -> None:
    async def meet(wire: Wire) -> None:
        wire.send(ServerHello(nonce=bytes(NONCE_SIZE)))
        await wire.rest()

    async with listening(meet) as port:
        with pytest.raises(ChannelError):
            await connect(port, plain)


async def test_a_server_that_goes_on_before_the_clients_turn_ends(plain: Machines) -> None:
    async with listening(FakeServer(plain.server, after_hello=PREFACE).meet) as port:
        with pytest.raises(InsecureConnectionError, match="not its turn"):
            await connect(port, plain)


@pytest.mark.parametrize("code", [CODE_UNSPECIFIED, 99])
async def test_a_verdict_that_nobody_knows(plain: Machines, code: int) -> None:
    server = FakeServer(plain.server)
    server.verdict = Verdict.FromString(b"\x08" + bytes((code,)))
    async with listening(server.meet) as port:
        with pytest.raises(RefusedError):
            await connect(port, plain)


async def test_a_server_that_hangs_up_instead_of_a_verdict(plain: Machines) -> None:
    async def meet(wire: Wire) -> None:
        server = FakeServer(plain.server)
        hello = await wire.receive(ClientHello)
        wire.send(await server._answer(wire, hello, bytes(NONCE_SIZE)))

    async with listening(meet) as port:
        with pytest.raises(PeerUnavailableError, match="closed the connection while it was being attested"):
            await connect(port, plain)


async def test_a_server_that_falls_silent(plain: Machines) -> None:
    async def meet(wire: Wire) -> None:
        await wire.rest()

    async with listening(meet) as port:
        with pytest.raises(PeerUnavailableError, match=r"no attested connection within 0\.1 s"):
            await connect(port, plain, timeout=0.1)


async def test_a_server_that_only_accepts_tcp(plain: Machines) -> None:
    """The kernel does so for a program that hangs."""
    silence = pytest.raises(PeerUnavailableError, match=r"no attested connection within 0\.1 s")
    with socket.create_server(("127.0.0.1", 0)) as hanging, silence:
        await connect(hanging.getsockname()[1], plain, timeout=0.1)


def test_a_frame_is_put_together_from_any_pieces() -> None:
    frame = encode_frame(HELLO)
    for cut in range(len(frame)):
        reader = FrameReader()
        assert reader.feed(frame[:cut]) is None
        assert reader.feed(frame[cut:]) == frame[4:]


def test_we_do_not_send_what_nobody_would_read() -> None:
    with pytest.raises(InsecureConnectionError, match="at most 1048576 bytes"):
        encode_frame(ClientEvidence(evidence=bytes(MAX_FRAME)))
