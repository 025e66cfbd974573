# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which control plane the address of the API leads to: one that serves, and its own for a control plane."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, asynccontextmanager
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.network import api_servers
from node_agent.network.api_servers import MISSES, ApiServers, is_ready
from tests.node_agent.network.api_port import NOT_READY, READY, api_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.node_agent.network.api_port import ApiPort

ONE, OTHER, THIRD = (IPv4Address(f"127.0.0.{number}") for number in (11, 12, 13))
WORKER: Final = IPv4Address("127.0.0.99")


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody uses on any of our addresses."""
    with ExitStack() as held:
        first = held.enter_context(socket.create_server((str(WORKER), 0)))
        yield first.getsockname()[1]


@asynccontextmanager
async def serving(address: IPv4Address, port: int, answer: bytes = READY) -> AsyncIterator[ApiPort]:
    async with api_port(socket.create_server((str(address), port)), answer) as server:
        yield server


def seen_by(own: IPv4Address, port: int, *others: IPv4Address, served_here: bool = False) -> ApiServers:
    found = ApiServers(own, served_here=served_here, port=port)
    found.know(others)
    return found


async def test_those_that_are_ready_are_used(port: int) -> None:
    servers = seen_by(WORKER, port, ONE, OTHER, THIRD)
    async with serving(ONE, port), serving(THIRD, port):
        await servers.look()
    assert set(servers.order) == {ONE, THIRD}


async def test_a_control_plane_uses_its_own(port: int) -> None:
    for own, other in ((ONE, OTHER), (OTHER, ONE)):
        servers = seen_by(own, port, other, served_here=True)
        async with serving(ONE, port), serving(OTHER, port):
            await servers.look()
        assert servers.order == (own, other)


async def test_a_control_plane_whose_own_does_not_serve_uses_another(port: int) -> None:
    servers = seen_by(ONE, port, OTHER, served_here=True)
    async with serving(ONE, port, NOT_READY), serving(OTHER, port):
        await servers.look()
    assert list(servers.order) == [OTHER]


def test_who_joins_does_not_begin_with_its_own(port: int) -> None:
    assert seen_by(ONE, port, OTHER, THIRD, served_here=True).order[-1] == ONE


def test_the_first_node_has_its_own_alone(port: int) -> None:
    assert seen_by(ONE, port, served_here=True).order == (ONE,)


def test_nobody_is_known(port: int) -> None:
    assert seen_by(WORKER, port).order == ()


def test_new_connections_of_many_nodes_go_to_all() -> None:
    firsts = {seen_by(IPv4Address("10.213.2.0") + node, 1, ONE, OTHER, THIRD).order[0] for node in range(50)}
    assert firsts == {ONE, OTHER, THIRD}


async def test_one_look_that_fails_is_not_the_end(port: int) -> None:
    servers = seen_by(ONE, port, OTHER, served_here=True)
    async with serving(OTHER, port):
        async with serving(ONE, port):
            await servers.look()
        for _ in range(MISSES - 1):
            await servers.look()
            assert list(servers.order) == [ONE, OTHER]
        await servers.look()
        assert list(servers.order) == [OTHER]
        async with serving(ONE, port):
            await servers.look()
        assert list(servers.order) == [ONE, OTHER]


async def test_misses_count_in_a_row(port: int) -> None:
    servers = seen_by(ONE, port, OTHER, served_here=True)
    async with serving(OTHER, port):
        for _ in range(MISSES + 1):
            async with serving(ONE, port):
                await servers.look()
            await servers.look()
    assert list(servers.order) == [ONE, OTHER]


async def test_where_nobody_answers_all_are_kept_and_the_last_one_first(port: int) -> None:
    servers = seen_by(WORKER, port, ONE, OTHER, THIRD)
    async with serving(THIRD, port):
        await servers.look()
    for _ in range(MISSES):
        await servers.look()
    assert servers.order[0] == THIRD
    assert set(servers.order) == {ONE, OTHER, THIRD}


async def test_a_control_plane_that_is_none_any_more_is_gone(port: int) -> None:
    servers = seen_by(WORKER, port, ONE, OTHER)
    async with serving(ONE, port), serving(OTHER, port):
        await servers.look()
        servers.know([OTHER])
        assert list(servers.order) == [OTHER]
        servers.know([OTHER, THIRD])
        assert list(servers.order) == [OTHER]


async def test_an_open_port_is_not_enough_to_come_in(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel accepts connections for a server that still waits for etcd."""
    monkeypatch.setattr(api_servers, "ANSWERING", 0.2)
    servers = seen_by(ONE, port, OTHER, served_here=True)
    with socket.create_server((str(ONE), port)):
        async with serving(OTHER, port):
            await servers.look()
    assert list(servers.order) == [OTHER]


async def test_an_open_port_is_enough_to_stay(port: int) -> None:
    servers = seen_by(WORKER, port, ONE)
    async with serving(ONE, port) as server:
        for _ in range(5):
            await servers.look()
        assert server.asked == 1


async def test_who_is_known_during_a_look_is_not_forgotten(port: int) -> None:
    servers = seen_by(WORKER, port, ONE)
    async with serving(ONE, port):
        looking = asyncio.create_task(servers.look())
        await asyncio.sleep(0)
        servers.know([OTHER])
        await looking
    assert list(servers.order) == [OTHER]


@given(st.binary(max_size=60) | st.integers(0, len(READY)).map(lambda size: READY[:size]))
def test_any_answer_is_yes_or_no(answer: bytes) -> None:
    async def ask() -> bool:
        listener = socket.create_server((str(ONE), 0))
        number = listener.getsockname()[1]
        async with api_port(listener, answer + b"\n"):
            return await is_ready(ONE, number)

    assert asyncio.run(ask()) == (answer.split(b"\n")[0].split()[1:2] == [b"200"])
