# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The HTTP server answers GET, and is bounded against everything else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st

from constellation_core.testing.watching import until
from constellation_services import http_server
from constellation_services.http_server import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GET = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
TOLD = b"HTTP/1.1 200 OK"


class Service:
    """Pages that greet, wait and fail."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        self.server = HttpServer({"/hello": self.hello, "/wait": self.wait, "/fail": self.fail})

    async def hello(self, request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"hello {request.query.get('name', '')}\n")

    async def wait(self, _request: web.BaseRequest) -> web.Response:
        self.waiting += 1
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        return web.Response(text="at last\n")

    async def fail(self, _request: web.BaseRequest) -> web.Response:
        raise ZeroDivisionError("a secret thing")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running() as service:
        yield service


@asynccontextmanager
async def running() -> AsyncIterator[Service]:
    service = Service()
    await service.server.start("127.0.0.1", 0)
    try:
        yield service
    finally:
        await service.server.drain(0.1)


async def ask(service: Service, request: bytes, *, hangs_up: bool = False) -> bytes:
    """Send bytes; give all that comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    try:
        writer.write(request)
        if hangs_up:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_get_is_answered(service: Service) -> None:
    answer = await ask(service, GET.replace(b"/hello", b"/hello?name=world"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(TOLD)
    assert b"Server: constellation\r\n" in head
    assert b"Cache-Control: no-store\r\n" in head
    assert body == b"hello world\n"


async def test_an_unknown_path_is_told_the_known_ones(service: Service) -> None:
    answer = await ask(service, GET.replace(b"/hello", b"/secret"))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"known paths: /hello, /wait, /fail" in answer


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"BREW"])
async def test_other_methods_are_refused(service: Service, method: bytes) -> None:
    answer = await ask(service, GET.replace(b"GET", method))
    assert answer.startswith((b"HTTP/1.1 405", b"HTTP/1.0 400"))


@pytest.mark.parametrize(
    "body", [b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"]
)
async def test_a_body_is_refused_and_not_read(service: Service, body: bytes) -> None:
    answer = await ask(service, b"GET /hello HTTP/1.1\r\nHost: x\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 413")


async def test_an_endless_body_is_not_read(service: Service) -> None:
    head = b"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n"
    await ask(service, head + bytes(100_000))  # it hangs up while we send: we may have heard why, or not


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
        b"GET /hello HTTP/1.1\r\n" + b"".join(b"X-%d: x\r\n" % number for number in range(100)) + b"\r\n",
        b"GET /hello HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /hello HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_too_long_or_no_http_is_refused(
    service: Service, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await ask(service, request_bytes)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert answer.endswith(b"\r\n\r\nexpected an HTTP/1.1 request\n")
    assert caplog.text == ""  # whoever wants to fill logs sends such requests


async def test_an_error_of_ours_is_told_to_nobody_but_the_log(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await ask(service, GET.replace(b"/hello", b"/fail"))
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"secret" not in answer
    assert "/fail is not answered" in caplog.text


@given(st.binary(max_size=300))
@example(GET * 40)  # many requests at once
@example(GET[:-1])
@example(b"GET http://[ HTTP/1.1\r\n\r\n")
@example(b"GET //x:y HTTP/1.1\r\nHost: x\r\n\r\n")
@example(b"GET /hello?%ff=%zz HTTP/1.1\r\nHost: x\r\n\r\n")
def test_any_bytes_are_answered_and_the_next_one_too(data: bytes) -> None:
    async def scenario() -> None:
        async with running() as service:
            await ask(service, data, hangs_up=True)
            assert (await ask(service, GET)).startswith(TOLD)

    asyncio.run(scenario())


async def test_who_sends_half_a_request_is_not_waited_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "IDLE", 0.05)
    assert await ask(service, b"GET /hello HTTP/1.1\r\nX-Slow: ") == b""


async def test_a_full_house_lets_the_one_go_that_has_been_silent_longest(service: Service) -> None:
    async with AsyncExitStack() as stack:
        silent = []
        for _ in range(http_server.CONNECTIONS):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
            stack.callback(writer.close)
            silent.append(reader)
        assert (await ask(service, GET)).startswith(TOLD)
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                assert await silent[0].read() == b""


async def test_a_house_full_of_work_takes_nobody_else(service: Service) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(http_server.CONNECTIONS):
            _, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
            stack.callback(writer.close)
            writer.write(GET.replace(b"/hello", b"/wait"))
        await until(lambda: service.waiting == http_server.CONNECTIONS)
        assert await ask(service, GET) == b""
        service.open.set()


async def test_who_hangs_up_is_not_worked_for(service: Service) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    writer.write(GET.replace(b"/hello", b"/wait"))
    await until(lambda: service.waiting)
    writer.transport.abort()
    await until(lambda: not service.waiting)


async def test_a_running_request_ends_when_the_server_stops(service: Service) -> None:
    answer = asyncio.create_task(ask(service, GET.replace(b"/hello", b"/wait")))
    await until(lambda: service.waiting)
    stopping = asyncio.create_task(service.server.drain(5))
    await asyncio.sleep(0)
    service.open.set()
    await stopping
    assert b"at last" in await answer


async def test_a_server_that_stopped_takes_nobody(service: Service) -> None:
    port = service.server.port
    await service.server.drain(1)
    assert service.server.port == 0
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
