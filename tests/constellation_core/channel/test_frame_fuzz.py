# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Any bytes at any time: before TLS, instead of each frame, and as HTTP/2 after the verdict.

The server is a real one. It must end each such connection, tell its observer once, let nobody in, never be surprised,
answer others meanwhile, and afterwards hold what it held before: tasks, file descriptors, memory.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import tracemalloc
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from h2.config import H2Configuration
from h2.connection import H2Connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constellation_core.channel.binding import NONCE_SIZE, VERSION
from constellation_core.channel.client import attested_channel
from constellation_core.channel.frames import MAX_FRAME, FrameReader, encode_frame
from constellation_core.channel.refusals import Reason
from constellation_core.errors import InsecureConnectionError
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.peers import FakeClient
from constellation_core.testing.watching import until
from constellation_core.testing.wire import dial
from constellation_proto.attest_pb2 import ClientEvidence, ClientHello, ServerHello, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_core.testing.devices import Machines

PACKAGES = ("constellation_core", "asyncio", "grpclib", "h2", "hpack", "hyperframe", "OpenSSL", "google", "ssl")
GROWTH = 512 * 1024  # bytes: caches of h2, and the refusal log, which remembers a thousand


class Stage(Enum):
    """How far a client gets before it says something else."""

    TCP = "instead of TLS"
    TLS = "instead of the first frame"
    HELLO = "instead of the second frame"
    VERDICT = "instead of HTTP/2"


def request_bytes() -> bytes:
    """A good request."""
    http2 = H2Connection(H2Configuration(header_encoding="ascii"))
    http2.initiate_connection()
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/constellation.testing.Echo/Say",
        ":authority": "node",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    http2.send_headers(1, list(headers.items()))
    body = BytesValue(value=b"hello").SerializeToString()
    http2.send_data(1, b"\0" + len(body).to_bytes(4, "big") + body, end_stream=True)
    return http2.data_to_send()


REQUEST = request_bytes()
NONCE = st.binary(max_size=NONCE_SIZE + 1) | st.binary(min_size=NONCE_SIZE, max_size=NONCE_SIZE)
TEXT = st.sampled_from(["", VERSION, "constellation-attest/2", "\0"]) | st.text(max_size=20)
MESSAGES = st.one_of(
    st.builds(ClientHello, version=TEXT, nonce=NONCE, variants=st.lists(TEXT, max_size=3), will_attest=st.booleans()),
    st.builds(ClientEvidence, evidence=st.binary(max_size=200) | st.just(b'{"version":1,"variant":"insecure"}')),
    st.builds(ServerHello, nonce=NONCE),
    st.builds(Verdict, code=st.integers(0, 9)),
)
HTTP2_FRAMES = st.builds(
    lambda kind, flags, stream, payload: (
        len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    ),
    st.integers(0, 12),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1, 2**32 - 1]),
    st.binary(max_size=40),
)
WORDS = st.one_of(
    st.binary(max_size=100),
    MESSAGES.map(encode_frame),
    st.builds(lambda length, body: length.to_bytes(4, "big") + body, st.integers(0, 2**32 - 1), st.binary(max_size=50)),
    st.just(REQUEST),
    st.lists(HTTP2_FRAMES, max_size=4).map(lambda frames: REQUEST[:33] + b"".join(frames)),
)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Flip, cut out, double, or leave as it is."""
    words = bytearray(draw(WORDS))
    for _ in range(draw(st.integers(0, 3)) if words else 0):
        place = draw(st.integers(0, max(0, len(words) - 1)))
        length = draw(st.integers(0, 8))
        change = draw(st.sampled_from(["flip", "cut", "double", "end"]))
        if change == "flip" and words:
            words[place] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del words[place : place + length]
        elif change == "double":
            words[place:place] = words[place : place + length]
        else:
            del words[place:]
    return bytes(words)


SCRIPTS = st.tuples(st.sampled_from(Stage), st.lists(mutations(), max_size=4), st.booleans())


@dataclass
class Fuzzer:
    """Plays scripts against one server."""

    running: EchoServer
    machines: Machines
    played: int = 0
    surprises: list[dict[str, Any]] = field(default_factory=list)

    async def play(self, stage: Stage, words: list[bytes], *, regularly: bool) -> None:
        with suppress(ConnectionError, EOFError):
            await (self._plain(words) if stage is Stage.TCP else self._within_tls(stage, words, regularly=regularly))
        await self.check(passes=stage is Stage.VERDICT)
        self.played += 1
        if self.played % 50 == 0:
            await self.answers()

    async def check(self, *, passes: bool) -> None:
        """See that the observer heard of the last connection, once, and what it should; then forget it."""
        recorder = await self.running.recorder.outcome()
        assert (len(recorder.passed), len(recorder.refusals)) == ((1, 0) if passes else (0, 1))
        assert Reason.UNEXPECTED not in recorder.reasons
        assert self.surprises == []
        recorder.passed.clear()
        recorder.refusals.clear()
        self.running.echo.peers.clear()

    async def _plain(self, words: list[bytes]) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self.running.port)
        for part in words:
            writer.write(part)
            await asyncio.sleep(0)
        writer.close()

    async def _within_tls(self, stage: Stage, words: list[bytes], *, regularly: bool) -> None:
        async with dial(self.running.port) as wire:
            client = FakeClient(self.machines.client)
            if stage is Stage.HELLO:
                await client.greet(wire)
            elif stage is Stage.VERDICT:
                await client.meet(wire)
            for part in words:
                wire.send(part)
                await asyncio.sleep(0)
            if regularly:
                wire.end()
                await wire.rest()

    async def answers(self) -> None:
        """See that somebody else is answered."""
        judge, issuer = self.machines.verifier, self.machines.client
        async with attested_channel("127.0.0.1", self.running.port, verifier=judge, issuer=issuer) as channel:
            assert await say(channel, b"hello") == b"hello"
        await self.check(passes=True)


def kept() -> int:
    """Bytes that the packages of the server hold."""
    gc.collect()
    inside = [tracemalloc.Filter(inclusive=True, filename_pattern=f"*/{name}/*") for name in PACKAGES]
    snapshot = tracemalloc.take_snapshot().filter_traces(inside)
    return sum(statistic.size for statistic in snapshot.statistics("filename"))


async def settled(fuzzer: Fuzzer) -> tuple[int, int]:
    """Wait until all connections have ended; count tasks and file descriptors."""
    await until(lambda: not any(fuzzer.running.server.peers.values()))
    await asyncio.sleep(0.05)
    return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a list of names is counted


def fuzz(examples: int, run: Callable[..., Any], fuzzer: Fuzzer) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(script=SCRIPTS)
    def play(script: tuple[Stage, list[bytes], bool]) -> None:
        stage, words, regularly = script
        run(fuzzer.play(stage, words, regularly=regularly))

    play()


@pytest.mark.parametrize(
    "examples", [60, pytest.param(6000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])], ids=str
)
def test_any_bytes(plain: Machines, examples: int, caplog: pytest.LogCaptureFixture) -> None:
    with asyncio.Runner() as runner:
        serving = echo_server(plain.server, plain.verifier)
        fuzzer = Fuzzer(runner.run(serving.__aenter__()), plain)
        runner.get_loop().set_exception_handler(lambda _loop, context: fuzzer.surprises.append(context))
        fuzz(20, runner.run, fuzzer)
        before = runner.run(settled(fuzzer))
        tracemalloc.start()
        fuzz(examples // 4, runner.run, fuzzer)
        runner.run(settled(fuzzer))
        held = kept()
        fuzz(examples, runner.run, fuzzer)
        assert runner.run(settled(fuzzer)) == before
        assert kept() - held < GROWTH
        tracemalloc.stop()
        runner.run(fuzzer.answers())
        runner.run(serving.__aexit__(None, None, None))
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200)), last=st.booleans())
def test_a_frame_does_not_depend_on_how_it_is_cut(data: bytes, cuts: list[int], *, last: bool) -> None:
    def feed(parts: list[bytes]) -> bytes | None:
        reader, body = FrameReader(last=last), None
        for part in parts:
            try:
                body = reader.feed(part)
            except InsecureConnectionError:
                return b"refused"
        return body

    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    assert feed(pieces) == feed([data]) if data else feed(pieces) is None


@given(st.integers(0, 2**32 - 1), st.binary(max_size=64), st.booleans())
def test_a_reader_keeps_no_more_than_a_frame(length: int, body: bytes, last: bool) -> None:
    reader = FrameReader(last=last)
    try:
        whole = reader.feed(length.to_bytes(4, "big") + body)
    except InsecureConnectionError:
        assert length > MAX_FRAME or (len(body) > length and not last)
    else:
        assert length <= MAX_FRAME
        assert whole == (body[:length] if len(body) >= length else None)
        if whole is not None:
            assert reader.rest(whole) == body[length:]
