# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""gRPC behind the verdict: limits of requests, and peers that speak HTTP/2 badly.

The bad peers are the library h2 without any of its own checks, behind an exchange that was all right.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpclib import GRPCError, Status
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.settings import SettingCodes

from constellation_core.channel.client import attested_channel
from constellation_core.channel.http2 import current_peer
from constellation_core.channel.rooms import Limits
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.peers import PREFACE, FakeClient
from constellation_core.testing.watching import until
from constellation_core.testing.wire import Wire, dial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from constellation_core.testing.devices import Machines

HEADERS = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/constellation.testing.Echo/Say",
    ":authority": "node",
    "te": "trailers",
    "content-type": "application/grpc",
}
LIMIT = Limits().request


@dataclass
class Http2:
    """HTTP/2 on a wire, which sends what it is told."""

    wire: Wire
    connection: H2Connection = field(
        default_factory=lambda: H2Connection(
            H2Configuration(header_encoding="ascii", validate_outbound_headers=False, normalize_outbound_headers=False)
        )
    )
    answers: dict[int, dict[str, object]] = field(default_factory=dict)
    resets: dict[int, int] = field(default_factory=dict)

    def flush(self) -> None:
        self.wire.send(self.connection.data_to_send())

    def request(self, body: bytes, changes: Mapping[str, str | None] | None = None) -> int:
        """Send a request; headers that are None are left away."""
        sent = [(name, value) for name, value in {**HEADERS, **(changes or {})}.items() if value is not None]
        stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream, sent)
        self.connection.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    async def listen(self) -> bool:
        """Hear what comes next; false where the server hung up."""
        data = await self.wire.read()
        for event in self.connection.receive_data(data):
            if isinstance(event, ResponseReceived | TrailersReceived):
                self.answers.setdefault(event.stream_id, {}).update((str(name), value) for name, value in event.headers)
            elif isinstance(event, StreamReset):
                self.resets[event.stream_id] = int(event.error_code)
            elif isinstance(event, DataReceived):
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self.answers.setdefault(event.stream_id, {})["ended"] = "yes"
        self.flush()
        return bool(data)

    async def status(self, stream: int) -> Status | None:
        """Wait until a request is answered or reset."""
        while "grpc-status" not in self.answers.get(stream, {}) and stream not in self.resets:
            assert await self.listen()
        told = self.answers.get(stream, {}).get("grpc-status")
        return Status(int(str(told))) if told is not None else None


@asynccontextmanager
async def accepted(running: EchoServer, *, buffer: int = 0) -> AsyncIterator[Http2]:
    """Go through the exchange, and begin with HTTP/2."""
    async with dial(running.port, buffer=buffer) as wire:
        await FakeClient().meet(wire)
        http2 = Http2(wire)
        http2.connection.initiate_connection()
        http2.flush()
        yield http2


def message(content: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">BI", flag, len(content) if length is None else length) + content


def said(text: bytes) -> bytes:
    return message(BytesValue(value=text).SerializeToString())


async def still_well(running: EchoServer, machines: Machines) -> None:
    async with attested_channel("127.0.0.1", running.port, verifier=machines.verifier) as channel:
        assert await say(channel, b"hello") == b"hello"


async def test_a_request_as_long_as_allowed(plain: Machines) -> None:
    async with (
        echo_server(plain.server) as running,
        attested_channel("127.0.0.1", running.port, verifier=plain.verifier) as channel,
    ):
        text = bytes(LIMIT - 4)  # tag and length of the field
        assert await say(channel, text) == text


async def test_a_request_that_is_longer(plain: Machines) -> None:
    async with (
        echo_server(plain.server) as running,
        attested_channel("127.0.0.1", running.port, verifier=plain.verifier) as channel,
    ):
        with pytest.raises(GRPCError) as caught:
            await say(channel, bytes(LIMIT - 3))
        assert caught.value.status is Status.RESOURCE_EXHAUSTED
        assert caught.value.message == "a request has at most 1048576 bytes, this one has 1048577"
        assert await say(channel, b"hello") == b"hello"
        assert len(running.echo.peers) == 1


BODIES = {
    "announces four gigabytes": (message(b"", length=0xFFFFFFFF), Status.RESOURCE_EXHAUSTED),
    "is compressed": (message(b"x", flag=1), Status.UNIMPLEMENTED),
    "is compressed otherwise": (message(b"x", flag=255), Status.UNIMPLEMENTED),
    "is no message": (message(b"\xff\xff\xff"), Status.INVALID_ARGUMENT),
    "ends within its length": (b"\0\0", Status.INVALID_ARGUMENT),
    "ends before its message": (message(b"", length=9), Status.INVALID_ARGUMENT),
    "ends within its message": (message(b"four", length=9), Status.INVALID_ARGUMENT),
    "is empty": (message(b""), Status.OK),
    "is not there": (b"", Status.OK),
    "is two": (said(b"one") + said(b"two"), Status.OK),
}


@pytest.mark.parametrize("body, status", BODIES.values(), ids=BODIES.keys())
async def test_a_request_whose_body(
    plain: Machines, body: bytes, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    async with echo_server(plain.server) as running, accepted(running) as http2:
        assert await http2.status(http2.request(body)) is status
        assert await http2.status(http2.request(said(b"hello"))) is Status.OK
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


BAD_HEADERS: dict[str, dict[str, str | None]] = {
    "method": {":method": "GET"},
    "no method": {":method": None},
    "no path": {":path": None},
    "another path": {":path": "/constellation.testing.Echo/Shout"},
    "no scheme": {":scheme": None},
    "content type": {"content-type": "text/html"},
    "no content type": {"content-type": None},
    "no trailers": {"te": None},
    "a time that is none": {"grpc-timeout": "soon"},
    "a time without end": {"grpc-timeout": "99999999H"},
    "metadata that is not base64": {"secret-bin": "!!!!!"},
    "upper case": {"Authorization": "me"},
    "a connection": {"connection": "close"},
}


@pytest.mark.parametrize("headers", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
async def test_headers_that_are_not_grpc(
    plain: Machines, headers: dict[str, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever becomes of the request or its connection: the server is well, and its log is quiet."""
    async with echo_server(plain.server) as running:
        async with accepted(running) as http2:
            stream = http2.request(said(b"hello"), headers)
            while stream not in http2.answers and stream not in http2.resets:
                if not await http2.listen():
                    break
        await still_well(running, plain)
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


BEGIN = PREFACE + b"\0\0\0\4\0\0\0\0\0"  # with empty settings
NOT_HTTP2 = {
    "HTTP/1": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(100),
    "another frame of ours": b"\0\0\0\x02\x0a\0",
    "a frame of an unknown type": BEGIN + b"\0\0\1\xee\0\0\0\0\0x",
    "data of no request": BEGIN + b"\0\0\1\0\0\0\0\0\1x",
    "a promise": BEGIN + b"\0\0\4\5\4\0\0\0\1\0\0\0\2",
    "the end": BEGIN + b"\0\0\x08\x07\0\0\0\0\0" + bytes(8),
    "a frame that is too long": BEGIN + b"\xff\xff\xff\0\0\0\0\0\1" + bytes(20_000),
}


@pytest.mark.parametrize("words", NOT_HTTP2.values(), ids=NOT_HTTP2.keys())
async def test_what_is_not_http2(plain: Machines, words: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with echo_server(plain.server) as running:
        async with dial(running.port) as wire:
            await FakeClient().meet(wire)
            wire.send(words)
            await wire.rest()
        await still_well(running, plain)
        await until(lambda: not running.server.peers["served"])
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_the_log_cannot_be_filled(plain: Machines, caplog: pytest.LogCaptureFixture) -> None:
    """A request whose time is over before it began is an error to grpclib."""
    async with echo_server(plain.server) as running, accepted(running) as http2:
        for _ in range(50):
            await http2.status(http2.request(said(b"hello"), {"grpc-timeout": "0n"}))
    assert len([record for record in caplog.records if record.levelno > logging.WARNING]) <= 1


async def test_many_requests_at_once_on_one_connection(plain: Machines) -> None:
    """More than may run: they wait for one another, and all are answered."""
    async with (
        echo_server(plain.server) as running,
        attested_channel("127.0.0.1", running.port, verifier=plain.verifier) as channel,
    ):
        texts = [str(number).encode() for number in range(300)]
        assert await asyncio.gather(*(say(channel, text) for text in texts)) == texts


async def test_who_asks_for_more_than_may_run_is_refused_that(plain: Machines) -> None:
    limits = Limits(requests=8)
    async with echo_server(plain.server, limits=limits) as running, accepted(running) as http2:
        running.echo.open.clear()
        streams = [http2.request(said(b"hello")) for _ in range(12)]
        while len(http2.resets) < 4:
            assert await http2.listen()
        assert sorted(http2.resets) == streams[8:]
        assert set(http2.resets.values()) == {7}  # REFUSED_STREAM: it may ask again
        assert running.echo.waiting == 8
        running.echo.open.set()
        for stream in streams[:8]:
            assert await http2.status(stream) is Status.OK


async def test_requests_that_are_reset_at_once_leave_nothing(plain: Machines) -> None:
    async with echo_server(plain.server) as running, accepted(running) as http2:
        running.echo.open.clear()
        tasks = len(asyncio.all_tasks())
        for _ in range(200):
            stream = http2.request(said(b"hello"))
            http2.connection.reset_stream(stream)
        http2.flush()
        running.echo.open.set()
        assert await http2.status(http2.request(said(b"hello"))) is Status.OK
        await until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_who_does_not_read_answers_is_not_listened_to(plain: Machines) -> None:
    """Pings are answered. Answers that nobody reads must not fill the memory."""
    pings = (b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)) * 1024
    async with echo_server(plain.server) as running, accepted(running, buffer=4096) as http2:
        (guest,) = running.server._served._guests
        protocol = guest.dismiss.__self__._ssl_protocol  # type: ignore[attr-defined]
        http2.wire.pause()
        async with asyncio.timeout(10):
            while not protocol._app_reading_paused:
                http2.wire.send(pings)
                await asyncio.sleep(0)
        waiting = protocol._get_write_buffer_size() + protocol._transport.get_write_buffer_size()
        assert waiting < 1024 * 1024
        http2.wire.resume()
        assert await http2.status(http2.request(said(b"hello"))) is Status.OK


async def test_a_slow_reader_gets_everything(plain: Machines) -> None:
    async with (
        echo_server(plain.server) as running,
        attested_channel("127.0.0.1", running.port, verifier=plain.verifier) as channel,
    ):
        text = bytes(LIMIT // 2)
        answers = await asyncio.gather(*(say(channel, text) for _ in range(16)))
        assert all(answer == text for answer in answers)


async def test_requests_know_their_peer(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        for _ in range(2):
            async with attested_channel(
                "127.0.0.1", running.port, verifier=tpms.verifier, issuer=tpms.client
            ) as channel:
                await asyncio.gather(*(say(channel, b"hello") for _ in range(3)))
    peers = running.echo.peers
    assert [peer.address for peer in peers] == ["127.0.0.1"] * 6
    assert len({id(peer) for peer in peers}) == 2
    assert all(peer.verdict is not None and peer.verdict.accepted for peer in peers)


def test_outside_of_a_request_there_is_no_peer() -> None:
    with pytest.raises(LookupError):
        current_peer()


async def test_windows_of_a_client_are_obeyed(plain: Machines) -> None:
    """A client that takes one byte at a time gets its answer, and keeps nobody else waiting."""
    async with echo_server(plain.server) as running, accepted(running) as http2:
        http2.connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1})
        stream = http2.request(said(b"hello"))
        await still_well(running, plain)
        assert await http2.status(stream) is Status.OK
