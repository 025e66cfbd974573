# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node that booted again says which mesh key and which addresses are its own now, and its peers are told."""

from __future__ import annotations

import base64
import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.cluster_objects import TOKEN_ANNOTATION
from constellation_core.roles import Role
from constellation_core.testing.watching import until
from constellation_engine.cluster.nodes import forget
from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from tests.constellation_services.join.world import Cluster


@pytest.fixture
def disk() -> str:
    return str(uuid.uuid4())


def key_of(cluster: Cluster, name: str) -> bytes:
    return base64.b64decode(cluster.node(name)["spec"]["wireguardPublicKey"])


async def test_a_new_key_and_new_addresses_are_written_down(cluster: Cluster, disk: str) -> None:
    machine, key = cluster.machine("b"), os.urandom(32)
    await cluster.ticket(machine, "worker-0", disk=disk, addresses=["192.0.2.1"])
    before: dict[str, Any] = dict(cluster.node("worker-0")["spec"])
    ticket = await cluster.rejoin(machine, disk, wireguard_public_key=key, addresses=["192.0.2.9"])
    assert ticket.wireguard_public_key == key_of(cluster, "worker-0") == key
    after: dict[str, Any] = dict(cluster.node("worker-0")["spec"])
    assert after["addresses"] == ["192.0.2.9"]
    assert {name for name in before if before[name] != after[name]} == {"wireguardPublicKey", "addresses"}
    assert TOKEN_ANNOTATION in (cluster.node("worker-0").metadata.annotations or {}), "not the token that it has"


async def test_others_are_told(cluster: Cluster, disk: str) -> None:
    machine, key = cluster.machine("b"), os.urandom(32)
    await cluster.ticket(machine, "control-0", disk=disk, role=Role.CONTROL_PLANE)
    await cluster.rejoin(machine, disk, wireguard_public_key=key)

    async def told() -> bytes:
        (peer,) = (await cluster.ticket(cluster.machine("c"), "worker-0", disk=other)).mesh_peers
        return peer.wireguard_public_key

    other = str(uuid.uuid4())
    await until(lambda: cluster.metric("nodes") >= 1)
    assert await told() == key


async def test_asking_twice_is_asking_once(cluster: Cluster, disk: str) -> None:
    machine, key = cluster.machine("b"), os.urandom(32)
    await cluster.ticket(machine, "worker-0", disk=disk)
    tickets = [await cluster.rejoin(machine, disk, wireguard_public_key=key) for _ in range(2)]
    assert tickets[0] == tickets[1]


async def test_without_a_new_key_all_stays(cluster: Cluster, disk: str) -> None:
    machine, key = cluster.machine("b"), os.urandom(32)
    await cluster.ticket(machine, "worker-0", disk=disk, wireguard_public_key=key, addresses=["192.0.2.1"])
    ticket = await cluster.rejoin(machine, disk, addresses=["192.0.2.9"])
    assert ticket.wireguard_public_key == key_of(cluster, "worker-0") == key
    assert cluster.node("worker-0")["spec"]["addresses"] == ["192.0.2.1"]


async def test_the_key_of_another_is_refused(cluster: Cluster, disk: str) -> None:
    machine, key = cluster.machine("b"), os.urandom(32)
    await cluster.ticket(cluster.machine("c"), "worker-1", wireguard_public_key=key)
    await cluster.ticket(machine, "worker-0", disk=disk)
    with pytest.raises(PermanentError, match="mesh key: it is the key of node worker-1"):
        await cluster.rejoin(machine, disk, wireguard_public_key=key)
    assert key_of(cluster, "worker-0") != key
    assert cluster.metric("tickets_total", kind="rejoin", role="any", outcome="mesh-key") == 1


async def test_another_machine_changes_nothing(cluster: Cluster, disk: str) -> None:
    key = os.urandom(32)
    await cluster.ticket(cluster.machine("b"), "worker-0", disk=disk, wireguard_public_key=key)
    with pytest.raises(PermanentError, match="belongs to another machine"):
        await cluster.rejoin(cluster.machine("c"), disk, wireguard_public_key=os.urandom(32))
    assert key_of(cluster, "worker-0") == key


async def test_a_key_that_was_changed_may_be_anothers_one_day(cluster: Cluster, disk: str) -> None:
    """Nobody collects keys: only those are taken that somebody has."""
    machine, key = cluster.machine("b"), os.urandom(32)
    await cluster.ticket(machine, "worker-0", disk=disk, wireguard_public_key=key)
    await cluster.rejoin(machine, disk, wireguard_public_key=os.urandom(32))
    await cluster.ticket(cluster.machine("c"), "worker-1", wireguard_public_key=key)


async def test_a_node_that_was_forgotten_changes_nothing(cluster: Cluster, disk: str) -> None:
    machine = cluster.machine("b")
    await cluster.ticket(machine, "worker-0", disk=disk)
    forget(cluster.client, "worker-0")
    with pytest.raises(PermanentError, match="no node of this cluster holds it"):
        await cluster.rejoin(machine, disk, wireguard_public_key=os.urandom(32))


@pytest.mark.parametrize("key", [bytes(32), bytes(31), bytes(33), b"\0"])
async def test_what_is_no_key_is_refused(cluster: Cluster, disk: str, key: bytes) -> None:
    machine = cluster.machine("b")
    await cluster.ticket(machine, "worker-0", disk=disk)
    with pytest.raises(PermanentError, match="mesh key: expected 32 bytes, not all zero"):
        await cluster.rejoin(machine, disk, wireguard_public_key=key)


async def test_addresses_inside_of_the_cluster_are_refused(cluster: Cluster, disk: str) -> None:
    machine = cluster.machine("b")
    await cluster.ticket(machine, "worker-0", disk=disk)
    with pytest.raises(PermanentError, match="outside of the cluster's network"):
        await cluster.rejoin(machine, disk, wireguard_public_key=os.urandom(32), addresses=["10.213.1.7"])
