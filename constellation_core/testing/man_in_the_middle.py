# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The attacker that rules out attestation inside the TLS handshake: it holds a TLS key, even the server's own.

    async with man_in_the_middle(server.port, key=stolen) as middle:
        async with attested_channel("127.0.0.1", middle.port, verifier=verifier):  # must fail
            ...
    middle.to_client, middle.to_server  # everything that it read and passed on

It ends the client's TLS with that key, opens its own TLS to the server, and passes every byte on, both ways. Only the
TLS connections are not the same ones, which is what evidence is bound to.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from constellation_core.testing.wire import Wire, dial, listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from constellation_core.channel.tls import ServerKey


@dataclass(slots=True)
class ManInTheMiddle:
    """What it does and what it saw.

    Attributes:
        server: TCP port of the true server.
        port: its own.
        to_client: bytes that it passed on to clients.
        to_server: bytes that it passed on to the server.
    """

    server: int
    port: int = 0
    to_client: bytearray = field(default_factory=bytearray)
    to_server: bytearray = field(default_factory=bytearray)

    async def meet(self, client: Wire) -> None:
        """Pass everything on until one side hangs up, then hang up on the other."""
        async with dial(self.server) as server, asyncio.TaskGroup() as both:
            both.create_task(_pass_on(client, server, self.to_server))
            both.create_task(_pass_on(server, client, self.to_client))


async def _pass_on(source: Wire, sink: Wire, seen: bytearray) -> None:
    while data := await source.read():
        seen += data
        sink.send(data)
    sink.end()


@asynccontextmanager
async def man_in_the_middle(server: int, *, key: ServerKey | None = None) -> AsyncIterator[ManInTheMiddle]:
    """Run it.

    Args:
        server: TCP port of the true server.
        key: the TLS key that it holds; by default one of its own.
    """
    middle = ManInTheMiddle(server)
    async with listening(middle.meet, key=key) as middle.port:
        yield middle
