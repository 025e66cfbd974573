# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The address of the API is nobody's, and answered by a control plane that serves: real connections, real kernel."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

import pytest

from constellation_core.networks import API_ADDRESS, API_PORT
from node_agent.network.api_servers import MISSES, ApiServers, anybody
from node_agent.network.firewall import Firewall
from node_agent.network.nftables import Rules
from tests.node_agent.network.api_port import api_port
from tests.node_agent.network.topology import NODE_MESH, OUTSIDE, OWN_PODS, PEER_MESH, PODS, TIMEOUT, received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.node_agent.network.topology import Namespace, Topology

API: Final = (str(API_ADDRESS), API_PORT)
OTHER_MESH: Final = "10.213.1.3"


def firewall(*serving: str) -> Firewall:
    return Firewall(pods=PODS, own_pods=OWN_PODS, api_servers=tuple(map(IPv4Address, serving)))


@asynccontextmanager
async def answering(space: Namespace, address: str) -> AsyncIterator[None]:
    """Serve the API at an address; what it answers is the address."""
    async with api_port(space.listener(address, API_PORT), f"HTTP/1.0 200 {address}\r\n\r\n".encode()):
        yield


async def ask() -> str:
    """Ask whoever serves the API; give its own address."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(*API, ssl=anybody())
        writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
        answer = (await reader.readline()).decode()
        writer.transport.abort()
    return answer.split()[-1]


async def test_it_is_answered_by_the_first_that_serves(topology: Topology) -> None:
    topology.peer.ip(f"addr add {OTHER_MESH}/32 dev mesh0")
    kept = Rules()
    async with answering(topology.peer, PEER_MESH), answering(topology.peer, OTHER_MESH):
        with topology.node.entered():
            for first, second in ((PEER_MESH, OTHER_MESH), (OTHER_MESH, PEER_MESH)):
                await kept.load(firewall(first, second))
                assert await ask() == first


async def test_a_control_plane_reaches_its_own(topology: Topology) -> None:
    async with answering(topology.node, NODE_MESH):
        with topology.node.entered():
            await Rules().load(firewall(NODE_MESH, PEER_MESH))
            assert await ask() == NODE_MESH


async def test_the_next_one_answers_when_the_first_is_gone(topology: Topology) -> None:
    """What the agent does every four seconds, without the seconds."""
    topology.peer.ip(f"addr add {OTHER_MESH}/32 dev mesh0")
    servers, kept, answers = ApiServers(IPv4Address(NODE_MESH), served_here=False), Rules(), []
    servers.know(map(IPv4Address, (PEER_MESH, OTHER_MESH)))
    async with answering(topology.peer, PEER_MESH), answering(topology.peer, OTHER_MESH):
        with topology.node.entered():
            for looks in (1, MISSES):
                for _ in range(looks):
                    await servers.look()
                await kept.load(firewall(*map(str, servers.order)))
                answers.append(await ask())
                topology.peer.ip(f"addr flush to {answers[0]} dev mesh0")
    assert sorted(answers) == [PEER_MESH, OTHER_MESH]


async def test_a_connection_to_one_that_is_gone_breaks_at_once(topology: Topology) -> None:
    topology.peer.ip(f"addr add {OTHER_MESH}/32 dev mesh0")
    async with answering(topology.peer, PEER_MESH), answering(topology.peer, OTHER_MESH):
        with topology.node.entered():
            kept = Rules()
            await kept.load(firewall(PEER_MESH, OTHER_MESH))
            _, to_first = await asyncio.open_connection(*API)
            await kept.load(firewall(OTHER_MESH))
            reader, to_second = await asyncio.open_connection(*API)
            topology.peer.ip(f"addr del {PEER_MESH}/32 dev mesh0")
            to_first.write(b"x")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(to_first.wait_closed(), TIMEOUT)
            to_second.write(b"x")
            await kept.load(firewall(OTHER_MESH))
            assert not reader.at_eof()
            to_second.transport.abort()


async def test_an_attempt_that_nobody_answered_breaks_too(topology: Topology) -> None:
    topology.peer.ip(f"addr add {OTHER_MESH}/32 dev mesh0", "neigh flush dev mesh0")
    with topology.node.entered(), socket.socket() as connection:
        kept = Rules()
        await kept.load(firewall("10.213.1.77"))
        connection.settimeout(TIMEOUT)
        connecting = asyncio.create_task(asyncio.to_thread(connection.connect_ex, API))
        await asyncio.sleep(0)
        await kept.load(firewall(OTHER_MESH))
        assert await connecting != 0


@pytest.mark.parametrize("serving", [(), (PEER_MESH,)])
async def test_without_a_mesh_nothing_leaves_in_clear(topology: Topology, serving: tuple[str, ...]) -> None:
    with topology.outside.wire("eth0") as wire, topology.node.entered():
        await Rules().load(firewall(*serving))
        topology.node.ip("link del constellation0")  # the default route leads outside
        with socket.socket() as connection:
            connection.setblocking(False)
            connection.connect_ex(API)
            topology.wait_until_dropped("leaked")
        with topology.node.udp() as sender:
            sender.sendto(b"marker", (OUTSIDE, 7))
        frames = received(wire)
    assert any(b"marker" in frame for frame in frames)
    assert not any(IPv4Address(API[0]).packed in frame or IPv4Address(PEER_MESH).packed in frame for frame in frames)


async def test_only_the_port_of_the_api_is_led(topology: Topology) -> None:
    with topology.node.entered(), topology.node.wire("constellation0") as wire, topology.node.udp() as sender:
        await Rules().load(firewall(PEER_MESH))
        topology.node.ip(f"neigh add {API[0]} lladdr 02:00:00:00:00:01 dev constellation0")
        sender.sendto(b"something else", API)
        frames = received(wire)
    assert any(b"something else" in frame and IPv4Address(API[0]).packed in frame for frame in frames)
