# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A name and a disk belong to the machine that first asked for them, and to no other that is just as genuine."""

from __future__ import annotations

import base64
import os
import re
import uuid
from typing import TYPE_CHECKING

import pytest

from attestation.insecure import InsecureIssuer
from attestation.policy import Policy
from constellation_core.join_config import JoinConfig
from constellation_core.roles import Role
from constellation_core.testing.watching import until
from constellation_engine.cluster.nodes import forget
from node_agent.errors import PermanentError
from tests.constellation_services.join.world import FRESH, Machine

if TYPE_CHECKING:
    from tests.constellation_services.join.world import Cluster

NOT_YOURS = "belongs to another machine, or to this one under another name"


@pytest.fixture
def disk() -> str:
    return str(uuid.uuid4())


async def test_another_machine_does_not_get_the_key_of_a_disk(cluster: Cluster, disk: str) -> None:
    await cluster.ticket(cluster.machine("b"), "worker-0", disk=disk)
    before = cluster.stored()
    with pytest.raises(PermanentError, match=f"disk {disk} {NOT_YOURS}"):
        await cluster.ticket(cluster.machine("c"), "worker-1", disk=disk)
    assert cluster.stored() == before
    assert cluster.metric("tickets_total", kind="ticket", role="worker", outcome="disk-of-another") == 1


async def test_an_operator_hears_of_it(cluster: Cluster, disk: str) -> None:
    await cluster.ticket(cluster.machine("b"), "worker-0", disk=disk)
    with pytest.raises(PermanentError):
        await cluster.ticket(cluster.machine("c"), "worker-1", disk=disk)
    (message,) = await cluster.events("TicketRefused")
    assert message.startswith(f"no ticket for worker-1: disk {disk} {NOT_YOURS} (it is worker-0/")
    assert message.endswith(f"kubectl -n constellation-system delete lease disk-{disk})")


async def test_another_machine_does_not_get_the_name_of_a_node(cluster: Cluster) -> None:
    await cluster.ticket(cluster.machine("b"), "worker-0")
    before = cluster.stored()
    with pytest.raises(PermanentError, match="node worker-0 is another machine: identity: expected"):
        await cluster.ticket(cluster.machine("c"), "worker-0")
    assert cluster.stored() == before
    (message,) = await cluster.events("TicketRefused")
    assert "constellation nodes forget worker-0" in message


async def test_a_machine_does_not_get_its_disk_under_another_name(cluster: Cluster, disk: str) -> None:
    machine = cluster.machine("b")
    await cluster.ticket(machine, "worker-0", disk=disk)
    before = cluster.stored()
    with pytest.raises(PermanentError, match=NOT_YOURS):
        await cluster.ticket(machine, "worker-1", disk=disk)
    assert cluster.stored() == before


@pytest.mark.parametrize(
    "first, then", [(Role.WORKER, Role.CONTROL_PLANE), (Role.CONTROL_PLANE, Role.WORKER)], ids=["up", "down"]
)
async def test_a_node_does_not_change_its_role(cluster: Cluster, disk: str, first: Role, then: Role) -> None:
    machine = cluster.machine("b")
    await cluster.ticket(machine, "node-0", disk=disk, role=first)
    before = cluster.stored()
    with pytest.raises(PermanentError, match=f"another machine: role: expected {first}, got {then}"):
        await cluster.ticket(machine, "node-0", disk=disk, role=then)
    assert cluster.stored() == before


async def test_a_node_does_not_change_its_disk(cluster: Cluster, disk: str) -> None:
    machine = cluster.machine("b")
    await cluster.ticket(machine, "worker-0", disk=disk)
    with pytest.raises(PermanentError, match=f"another machine: disk: expected {disk}"):
        await cluster.ticket(machine, "worker-0")


async def test_another_machine_does_not_open_a_disk_that_booted_again(cluster: Cluster, disk: str) -> None:
    await cluster.ticket(cluster.machine("b"), disk=disk)
    asked = len(cluster.keys.asked)
    with pytest.raises(PermanentError, match=NOT_YOURS):
        await cluster.rejoin(cluster.machine("c"), disk)
    assert len(cluster.keys.asked) == asked
    assert cluster.metric("tickets_total", kind="rejoin", role="any", outcome="disk-of-another") == 1


async def test_a_disk_that_nobody_knows_has_no_key(cluster: Cluster, disk: str) -> None:
    with pytest.raises(PermanentError, match=f"disk {disk}: no node of this cluster holds it"):
        await cluster.rejoin(cluster.machine("b"), disk)
    assert not cluster.keys.asked
    assert cluster.metric("tickets_total", kind="rejoin", role="any", outcome="unknown-disk") == 1


@pytest.mark.parametrize("disk", ["", "worker-0", "9B4F1D3A-6C1B-4A53-9C1D-7D1E5B1F0A11", "../secrets"])
async def test_what_is_no_disk_is_refused_again_too(cluster: Cluster, disk: str) -> None:
    with pytest.raises(PermanentError, match=re.escape(f"disk id: expected a UUID in lower case, got {disk!r}")):
        await cluster.rejoin(cluster.machine("b"), disk)


async def test_a_node_that_was_forgotten_is_nobodys(cluster: Cluster, disk: str) -> None:
    machine = cluster.machine("b")
    await cluster.ticket(machine, "worker-0", disk=disk)
    forget(cluster.client, "worker-0")
    with pytest.raises(PermanentError, match="no node of this cluster holds it"):
        await cluster.rejoin(machine, disk)
    await cluster.ticket(cluster.machine("c"), "worker-0")


async def test_who_is_forgotten_while_it_asks_again_is_new(cluster: Cluster, disk: str) -> None:
    """The service's own knowledge may be a moment behind."""
    machine = cluster.machine("b")
    for _ in range(3):
        first = await cluster.ticket(machine, "worker-0", disk=disk)
        await until(lambda: cluster.metric("nodes") == 1)
        forget(cluster.client, "worker-0")
        assert (await cluster.ticket(machine, "worker-0", disk=disk)).mesh_address == first.mesh_address


async def test_evidence_that_identifies_nobody_binds_no_disk(cluster: Cluster) -> None:
    """Variant `insecure`, in a cluster that accepts it."""
    policies = tuple(
        Policy.from_mapping(policy)
        for policy in ({"variant": "insecure"}, {"variant": "qemu-vtpm", "measurements": FRESH})
    )
    cluster.join_config.write(JoinConfig(explicit=policies).to_yaml())
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    with pytest.raises(PermanentError, match="identity: expected evidence that identifies the machine, got none"):
        await cluster.ticket(Machine(InsecureIssuer()))
    assert cluster.stored() == []


@pytest.mark.parametrize("role", Role, ids=str)
async def test_a_node_does_not_get_the_mesh_key_of_another(cluster: Cluster, role: Role) -> None:
    """Its peers would send there what is for the other, or nowhere."""
    key = os.urandom(32)
    await cluster.ticket(cluster.machine("b"), "worker-0", wireguard_public_key=key)
    before = cluster.stored()
    with pytest.raises(PermanentError, match="mesh key: it is the key of node worker-0"):
        await cluster.ticket(cluster.machine("c"), "node-1", role=role, wireguard_public_key=key)
    assert cluster.stored() == before
    assert cluster.metric("tickets_total", kind="ticket", role=role.value, outcome="mesh-key") == 1


async def test_a_node_that_asks_again_does_not_take_the_mesh_key_of_another(cluster: Cluster, disk: str) -> None:
    key = os.urandom(32)
    await cluster.ticket(cluster.machine("b"), "worker-0", wireguard_public_key=key)
    machine = cluster.machine("c")
    await cluster.ticket(machine, "worker-1", disk=disk)
    with pytest.raises(PermanentError, match="mesh key: it is the key of node worker-0"):
        await cluster.ticket(machine, "worker-1", disk=disk, wireguard_public_key=key)


async def test_a_node_that_asks_again_keeps_its_mesh_key(cluster: Cluster, disk: str) -> None:
    key, machine = os.urandom(32), cluster.machine("b")
    for _ in range(2):
        await cluster.ticket(machine, "worker-0", disk=disk, wireguard_public_key=key)
    assert cluster.node("worker-0")["spec"]["wireguardPublicKey"] == base64.b64encode(key).decode()


async def test_an_address_stays_with_who_has_it(cluster: Cluster) -> None:
    await cluster.ticket(cluster.machine("b"), "worker-0", addresses=["192.0.2.1", "node.example"])
    await until(lambda: cluster.metric("nodes") == 1)
    claimed = ["192.0.2.1", "node.example", "192.0.2.2"]
    await cluster.ticket(cluster.machine("c"), "worker-1", addresses=claimed)
    assert cluster.node("worker-0")["spec"]["addresses"] == ["192.0.2.1", "node.example"]
    assert cluster.node("worker-1")["spec"]["addresses"] == ["192.0.2.2"]


@pytest.mark.parametrize("inside", ["10.213.1.1", "10.244.3.1", "10.96.0.1"], ids=["mesh", "pods", "services"])
async def test_addresses_inside_of_the_cluster_are_no_nodes(cluster: Cluster, inside: str) -> None:
    with pytest.raises(PermanentError, match=f"addresses: expected some outside of the cluster's network .*{inside}"):
        await cluster.ticket(cluster.machine("b"), addresses=["192.0.2.1", inside])
    assert cluster.stored() == []
