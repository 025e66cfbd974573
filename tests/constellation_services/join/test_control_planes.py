# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Control planes are few, join one at a time, and a person may have to approve: being genuine is not enough."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Node

from constellation_core.cluster_objects import JoinRequestObject
from constellation_core.names import NAMESPACE
from constellation_core.roles import Role
from constellation_core.testing.watching import until
from constellation_engine.cluster.nodes import forget
from constellation_services.join.admission import CONTROL_PLANE_LABEL, TURN
from node_agent.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from typing import Any

    from constellation_proto import join_pb2
    from tests.constellation_services.join.world import Cluster, Machine

WAITS = 0.4  # seconds that a node waits in vain


async def join(
    cluster: Cluster,
    machine: Machine,
    name: str,
    *,
    disk: str | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109 - passed on
) -> join_pb2.Ticket:
    return await cluster.ticket(machine, name, role=Role.CONTROL_PLANE, disk=disk, timeout=timeout)


def make_ready(cluster: Cluster, name: str) -> None:
    """Do what the kubelet of a control plane does in the end."""
    cluster.client.create(Node(metadata=ObjectMeta(name=name, labels={CONTROL_PLANE_LABEL: ""})))
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    cluster.client.patch(Node.Status, name, {"status": status})


def set_turn(cluster: Cluster, **spec: Any) -> None:  # noqa: ANN401 - as a Lease says
    lease = cluster.client.get(Lease, TURN, namespace=NAMESPACE)
    for name, value in spec.items():
        setattr(lease.spec, name, value)
    cluster.client.replace(lease)


def turn(cluster: Cluster) -> str | None:
    holder = cluster.leases().get(TURN)
    return holder.partition("/")[0] if holder else None


async def become_ready(cluster: Cluster, machine: Machine, *names: str) -> None:
    for name in names:
        await join(cluster, machine, name)
        make_ready(cluster, name)


async def test_there_are_never_more_than_the_cluster_wants(cluster: Cluster) -> None:
    machine = cluster.machine("b")
    await become_ready(cluster, machine, "cp-0", "cp-1", "cp-2")
    before = cluster.stored()
    with pytest.raises(PermanentError, match="control planes: expected at most 3, got another one"):
        await join(cluster, cluster.machine("c"), "cp-3")
    assert [item for item in before if TURN not in item] == cluster.stored()
    assert turn(cluster) is None
    outcome = {"kind": "ticket", "role": "control-plane", "outcome": "too-many-control-planes"}
    assert cluster.metric("tickets_total", **outcome) == 1


async def test_workers_are_as_many_as_come(cluster: Cluster) -> None:
    cluster.join_config.set(max=1)
    machine = cluster.machine("b")
    await become_ready(cluster, machine, "cp-0")
    for number in range(3):
        await cluster.ticket(machine, f"worker-{number}")


async def test_a_control_plane_that_is_forgotten_makes_room(cluster: Cluster) -> None:
    cluster.join_config.set(max=1)
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    await become_ready(cluster, cluster.machine("b"), "cp-0")
    with pytest.raises(PermanentError, match="at most 1"):
        await join(cluster, cluster.machine("c"), "cp-1")
    forget(cluster.client, "cp-0")
    await join(cluster, cluster.machine("c"), "cp-1")


async def test_who_is_a_control_plane_already_is_not_one_more(cluster: Cluster) -> None:
    cluster.join_config.set(max=1)
    machine, disk = cluster.machine("b"), str(uuid.uuid4())
    await join(cluster, machine, "cp-0", disk=disk)
    await join(cluster, machine, "cp-0", disk=disk)


async def test_one_joins_at_a_time(cluster: Cluster) -> None:
    await join(cluster, cluster.machine("b"), "cp-0")
    with pytest.raises(TemporaryError, match="control plane cp-0 is joining; one joins at a time"):
        await join(cluster, cluster.machine("c"), "cp-1", timeout=WAITS)
    make_ready(cluster, "cp-0")
    await join(cluster, cluster.machine("c"), "cp-1")
    assert turn(cluster) == "cp-1"


async def test_a_node_that_is_only_ready_is_no_control_plane_yet(cluster: Cluster) -> None:
    await join(cluster, cluster.machine("b"), "cp-0")
    make_ready(cluster, "cp-0")
    node = cluster.client.get(Node, "cp-0")
    assert node.metadata
    node.metadata.labels = {}
    cluster.client.replace(node)
    with pytest.raises(TemporaryError, match="one joins at a time"):
        await join(cluster, cluster.machine("c"), "cp-1", timeout=WAITS)


async def test_who_never_arrives_loses_its_turn(cluster: Cluster) -> None:
    await join(cluster, cluster.machine("b"), "cp-0")
    set_turn(cluster, renewTime=datetime.now(UTC) - timedelta(hours=1))
    await join(cluster, cluster.machine("c"), "cp-1")
    assert turn(cluster) == "cp-1"


async def test_who_asks_again_takes_its_turn_again(cluster: Cluster) -> None:
    """Its first ticket may have broken off: without a turn it would join together with another one."""
    machine, disk = cluster.machine("b"), str(uuid.uuid4())
    await join(cluster, machine, "cp-0", disk=disk)
    set_turn(cluster, holderIdentity="cp-9/somebody")
    with pytest.raises(TemporaryError, match="control plane cp-9 is joining"):
        await join(cluster, machine, "cp-0", disk=disk, timeout=WAITS)


async def test_another_machine_of_the_same_name_does_not_end_a_turn(cluster: Cluster) -> None:
    await join(cluster, cluster.machine("b"), "cp-0")
    with pytest.raises(PermanentError, match="node cp-0 is another machine"):
        await join(cluster, cluster.machine("c"), "cp-0")
    assert turn(cluster) == "cp-0"


async def test_without_a_ticket_the_turn_is_given_back(cluster: Cluster) -> None:
    disk = str(uuid.uuid4())
    await cluster.ticket(cluster.machine("b"), "worker-0", disk=disk)
    with pytest.raises(PermanentError, match="belongs to another machine"):
        await join(cluster, cluster.machine("c"), "cp-0", disk=disk)
    assert turn(cluster) is None
    assert not any("cp-0" in item for item in cluster.stored())


async def test_a_person_approves(cluster: Cluster) -> None:
    cluster.join_config.set(approval=True)
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    disk = str(uuid.uuid4())
    with pytest.raises(TemporaryError, match="the node waits for approval"):
        await join(cluster, cluster.machine("b"), "cp-0", disk=disk, timeout=WAITS)
    assert cluster.stored() == ["JoinRequest/cp-0"]
    assert not cluster.keys.asked
    head, row = cluster.kubectl("get", "joinrequests").splitlines()
    assert head.split() == ["NAME", "ROLE", "VARIANT", "IDENTITY", "DECISION", "PHASE", "AGE"]
    assert "Pending" in row
    decide(cluster, "cp-0", "Approved")
    await join(cluster, cluster.machine("b"), "cp-0", disk=disk)
    await until(lambda: phase(cluster, "cp-0") == "Admitted")


async def test_a_node_waits_until_a_person_approves(cluster: Cluster) -> None:
    """One call of the agent: it asks until somebody decides."""
    cluster.join_config.set(approval=True)
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)

    async def approve_soon() -> None:
        await until(lambda: phase(cluster, "cp-0") == "Pending")
        decide(cluster, "cp-0", "Approved")

    ticket, _ = await asyncio.gather(join(cluster, cluster.machine("b"), "cp-0"), approve_soon())
    assert ticket.control_plane_files


async def test_a_person_denies(cluster: Cluster) -> None:
    cluster.join_config.set(approval=True)
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    disk = str(uuid.uuid4())
    with pytest.raises(TemporaryError, match="the node waits for approval"):
        await join(cluster, cluster.machine("b"), "cp-0", disk=disk, timeout=WAITS)
    decide(cluster, "cp-0", "Denied")
    with pytest.raises(PermanentError, match="a person denied this node"):
        await join(cluster, cluster.machine("b"), "cp-0", disk=disk)
    assert phase(cluster, "cp-0") == "Denied"
    assert cluster.stored() == ["JoinRequest/cp-0"]


async def test_approval_is_for_one_machine(cluster: Cluster) -> None:
    cluster.join_config.set(approval=True)
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    with pytest.raises(TemporaryError):
        await join(cluster, cluster.machine("b"), "cp-0", timeout=WAITS)
    decide(cluster, "cp-0", "Approved")
    with pytest.raises(PermanentError, match="another machine waits under the name cp-0: it differs in identity, disk"):
        await join(cluster, cluster.machine("c"), "cp-0")
    assert phase(cluster, "cp-0") == "Pending"


async def test_nobody_is_asked_about_a_name_that_another_machine_has(cluster: Cluster) -> None:
    await cluster.ticket(cluster.machine("b"), "node-0")
    cluster.join_config.set(approval=True)
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    with pytest.raises(PermanentError, match="node node-0 is another machine"):
        await join(cluster, cluster.machine("c"), "node-0")
    assert not list(cluster.client.list(JoinRequestObject))


async def test_workers_need_no_approval(cluster: Cluster) -> None:
    cluster.join_config.set(approval=True)
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    await cluster.ticket(cluster.machine("b"), "worker-0")


def decide(cluster: Cluster, name: str, decision: str) -> None:
    """Say what a person says, with their tool."""
    change = json.dumps({"spec": {"decision": decision}})
    cluster.kubectl("patch", "joinrequest", name, "--type=merge", "--patch", change)


def phase(cluster: Cluster, name: str) -> str | None:
    found = [one for one in cluster.client.list(JoinRequestObject) if one.metadata and one.metadata.name == name]
    said: str | None = (found[0].get("status") or {}).get("phase") if found else None
    return said
