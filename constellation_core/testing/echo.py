# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A service that says back what it hears, behind a real attested server on this machine.

    async with echo_server(issuer, verifier=verifier) as running:
        async with attested_channel("127.0.0.1", running.port, verifier=verifier, issuer=issuer) as channel:
            assert await say(channel, b"hello") == b"hello"
    running.recorder.passed, running.recorder.refusals  # what became of each connection

`running.echo.open.clear()` lets requests wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.wrappers_pb2 import BytesValue
from grpclib.client import UnaryUnaryMethod
from grpclib.const import Cardinality, Handler

from constellation_core.channel.http2 import current_peer
from constellation_core.channel.server import AttestedServer
from constellation_core.testing.watching import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from grpclib.client import Channel
    from grpclib.server import Stream

    from attestation.issuer import Issuer
    from constellation_core.channel.http2 import Peer
    from constellation_core.channel.verifier import Verifier

_REMEMBERED: Final = 100
_METHOD: Final = "/constellation.testing.Echo/Say"


class Echo:
    """The service.

    Attributes:
        open: while it is not set, requests wait.
        waiting: how many requests wait.
        peers: who asked last, in order.
    """

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = 0
        self.peers: deque[Peer] = deque(maxlen=_REMEMBERED)

    async def say(self, stream: Stream[BytesValue, BytesValue]) -> None:
        """Say it back."""
        heard = await stream.recv_message()
        self.peers.append(current_peer())
        self.waiting += 1
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        await stream.send_message(heard or BytesValue())

    def __mapping__(self) -> dict[str, Handler]:
        """Tell grpclib what there is."""
        return {_METHOD: Handler(self.say, Cardinality.UNARY_UNARY, BytesValue, BytesValue)}


async def say(channel: Channel, text: bytes, *, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - it is gRPC's
    """Ask the service."""
    method = UnaryUnaryMethod(channel, _METHOD, BytesValue, BytesValue)
    answer: BytesValue = await method(BytesValue(value=text), timeout=timeout)
    return answer.value


@dataclass(slots=True)
class EchoServer:
    """What runs.

    Attributes:
        server: the attested server.
        echo: its service.
        recorder: what became of each connection.
    """

    server: AttestedServer
    echo: Echo = field(default_factory=Echo)
    recorder: Recorder = field(default_factory=Recorder)

    @property
    def port(self) -> int:
        """Its TCP port."""
        return self.server.port


@asynccontextmanager
async def echo_server(issuer: Issuer, verifier: Verifier | None = None, **options: Any) -> AsyncIterator[EchoServer]:  # noqa: ANN401
    """Run the service.

    Args:
        issuer: what makes the server's evidence.
        verifier: who judges clients; None where they do not attest.
        options: further arguments of `AttestedServer`.
    """
    echo, recorder = Echo(), Recorder()
    server = AttestedServer([echo], issuer=issuer, verifier=verifier, observer=recorder, **options)
    await server.start("127.0.0.1", 0)
    try:
        yield EchoServer(server, echo, recorder)
    finally:
        await server.close()
