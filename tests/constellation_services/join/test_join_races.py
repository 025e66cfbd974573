# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Machines that ask at the same moment, of several instances of the service: one gets what only one may have."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest

from constellation_core.cluster_objects import NodeIdentityObject
from constellation_core.roles import Role
from constellation_core.testing.watching import until
from constellation_proto import join_pb2
from node_agent.errors import AgentError, PermanentError
from tests.constellation_services.join.world import name_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from tests.constellation_services.join.world import Cluster

MACHINES = [f"racer-{number}" for number in range(6)]

Outcome = join_pb2.Ticket | BaseException


@pytest.fixture
async def pair(empty_cluster: Cluster) -> AsyncIterator[Cluster]:
    """A cluster with two instances of the service."""
    async with empty_cluster.service(), empty_cluster.service():
        yield empty_cluster


async def race(*asking: Coroutine[Any, Any, join_pb2.Ticket]) -> list[Outcome]:
    """Let all ask at once."""
    return await asyncio.gather(*asking, return_exceptions=True)


async def race_until(
    decided: Callable[[], object], *asking: Coroutine[Any, Any, join_pb2.Ticket], answered: int = 0
) -> list[Outcome]:
    """Let all ask at once, and again, until it is clear that nothing will change, and some have their answer."""
    asked = [asyncio.create_task(one) for one in asking]
    await until(lambda: decided() and sum(one.done() for one in asked) >= answered)
    for one in asked:
        one.cancel()
    return await asyncio.gather(*asked, return_exceptions=True)


def issued(cluster: Cluster) -> float:
    return outcomes_of(cluster, "issued")


def outcomes_of(cluster: Cluster, outcome: str) -> float:
    return cluster.metric("tickets_total", kind="ticket", role="control-plane", outcome=outcome)


def winners(outcomes: list[Outcome]) -> list[join_pb2.Ticket]:
    losers = [outcome for outcome in outcomes if not isinstance(outcome, join_pb2.Ticket)]
    assert all(isinstance(loser, AgentError | asyncio.CancelledError) for loser in losers), losers
    return [outcome for outcome in outcomes if isinstance(outcome, join_pb2.Ticket)]


async def test_one_machine_gets_a_disk(pair: Cluster) -> None:
    disk = str(uuid.uuid4())
    asking = [
        pair.ticket(pair.machine(name), name, disk=disk, service=pair.services[place % 2])
        for place, name in enumerate(MACHINES)
    ]
    outcomes = await race(*asking)
    (ticket,) = winners(outcomes)
    (node,) = pair.client.list(NodeIdentityObject)
    assert node["spec"]["meshAddress"] == ticket.mesh_address
    assert name_of(node) == MACHINES[outcomes.index(ticket)]
    assert [name for name in pair.leases() if name.startswith("disk-")] == [f"disk-{disk}"]
    assert len(pair.tokens()) == 1


async def test_one_machine_gets_a_name(pair: Cluster) -> None:
    asking = [
        pair.ticket(pair.machine(name), "worker-0", service=pair.services[place % 2])
        for place, name in enumerate(MACHINES)
    ]
    outcomes = await race(*asking)
    (ticket,) = winners(outcomes)
    (node,) = pair.client.list(NodeIdentityObject)
    assert node["spec"]["meshAddress"] == ticket.mesh_address
    assert all(isinstance(outcome, join_pb2.Ticket | PermanentError) for outcome in outcomes)
    assert len(pair.tokens()) == 1
    assert len([name for name in pair.leases() if name.startswith("mesh-")]) == 1


async def test_one_node_that_asks_everywhere_is_one_node(pair: Cluster) -> None:
    machine, disk = pair.machine("b"), str(uuid.uuid4())
    asking = [
        pair.ticket(machine, "worker-0", disk=disk, service=pair.services[place % 2]) for place in range(len(MACHINES))
    ]
    tickets = winners(await race(*asking))
    assert len(tickets) == len(MACHINES)
    assert len({(ticket.mesh_address, ticket.state_disk_key) for ticket in tickets}) == 1
    (node,) = pair.client.list(NodeIdentityObject)
    assert pair.token_of(name_of(node)) is not None
    assert len([item for item in pair.stored() if item.startswith("Lease")]) == 2


@pytest.mark.parametrize("most", [1, 2])
async def test_one_control_plane_joins(pair: Cluster, most: int) -> None:
    """Whether it is the last or others may follow."""
    pair.join_config.set(max=most)
    await until(lambda: pair.metric("configs_total", outcome="accepted") == 4)
    asking = [
        pair.ticket(pair.machine(name), name, role=Role.CONTROL_PLANE, service=pair.services[place % 2])
        for place, name in enumerate(MACHINES)
    ]
    others = len(MACHINES) - 1
    outcomes = await race_until(
        lambda: issued(pair) and outcomes_of(pair, "not-your-turn") >= 2 * others, *asking, answered=1
    )
    (ticket,) = winners(outcomes)
    assert ticket.control_plane_files
    (node,) = pair.client.list(NodeIdentityObject)
    assert [item for item in pair.stored() if item.startswith("Lease/disk")] == [f"Lease/disk-{node['spec']['disk']}"]


async def test_a_person_is_asked_once_about_a_machine(pair: Cluster) -> None:
    pair.join_config.set(approval=True)
    await until(lambda: pair.metric("configs_total", outcome="accepted") == 4)
    disk, machine = str(uuid.uuid4()), pair.machine("b")
    asking = [
        pair.ticket(machine, "cp-0", role=Role.CONTROL_PLANE, disk=disk, service=service)
        for service in (*pair.services, *pair.services)
    ]
    assert winners(await race_until(lambda: outcomes_of(pair, "approval") >= 8, *asking)) == []
    assert pair.stored() == ["JoinRequest/cp-0"]


async def test_addresses_in_the_mesh_are_never_given_twice(empty_cluster: Cluster) -> None:
    """In the smallest network there is, where nodes want the same address all the time."""
    empty_cluster.facts.set(mesh_network=IPv4Network("10.213.0.0/28"))
    async with empty_cluster.service(), empty_cluster.service():
        asking = [
            empty_cluster.ticket(empty_cluster.machine(MACHINES[number % 6]), f"worker-{number}", service=service)
            for number, service in zip(range(11), itertools.cycle(empty_cluster.services), strict=False)
        ]
        tickets = winners(await race(*asking))
    assert len(tickets) == len({ticket.mesh_address for ticket in tickets}) == 11
