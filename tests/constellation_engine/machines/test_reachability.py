# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""That a connection comes about says nothing behind QEMU; an answer does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from attestation.insecure import InsecureIssuer
from constellation_core.channel.server import AttestedServer
from constellation_engine.machines.reachability import listening
from constellation_engine.testing.programs import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def attested() -> AsyncIterator[int]:
    server = AttestedServer([], issuer=InsecureIssuer())
    await server.start("127.0.0.1", 0)
    try:
        yield server.port
    finally:
        await server.close()


@asynccontextmanager
async def hanging_up(reads: int) -> AsyncIterator[int]:
    """Accepts connections as QEMU does where nobody listens inside."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(reads)
        writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_an_attested_server_answers() -> None:
    async with attested() as port:
        assert await listening([port, free_port()]) == {port}


@pytest.mark.parametrize("reads", [0, 1])
async def test_who_only_hangs_up_does_not(reads: int) -> None:
    async with hanging_up(reads) as port:
        assert await listening([port]) == frozenset()


async def test_who_says_nothing_does_not() -> None:
    async with hanging_up(1 << 20) as port:
        assert await listening([port], timeout=0.2) == frozenset()


async def test_no_ports_are_asked_at_once() -> None:
    assert await listening([]) == frozenset()
