# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Deciding on nodes and forgetting them, in a real API server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from lightkube import Client, KubeConfig
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Secret
from lightkube.types import PatchType

from constellation_core.cluster_objects import NODE_LABEL, JoinRequestObject, NodeIdentity, NodeIdentityObject
from constellation_core.names import NAMESPACE
from constellation_core.roles import Role
from constellation_engine.cluster import nodes
from constellation_engine.cluster.nodes import Decision
from constellation_engine.errors import ClusterError, ConflictError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_engine.testing.control_plane import ControlPlane

IDENTITY = "ab" * 32
DISK = "123e4567-e89b-12d3-a456-426614174000"


def ask(client: Client, name: str, *, identity: str = IDENTITY, phase: str = "Pending") -> None:
    """Ask to join, as the join service does for a machine."""
    who = {"role": "control-plane", "variant": "qemu-vtpm", "identity": identity, "disk": DISK}
    request = JoinRequestObject(
        apiVersion="constellation.dev/v1", kind="JoinRequest", metadata=ObjectMeta(name=name), spec=who
    )
    client.create(request)
    status = {"status": {"phase": phase, "requestedAt": "2026-11-21T12:00:00Z"}}
    client.patch(JoinRequestObject.Status, name, status, patch_type=PatchType.MERGE)


def decision(client: Client, name: str) -> str:
    found: Any = client.get(JoinRequestObject, name)
    return str(found["spec"]["decision"])


def claim(client: Client, name: str, node: str, *, seconds: int | None = None) -> None:
    metadata = ObjectMeta(name=name, namespace=NAMESPACE, labels={NODE_LABEL: node})
    client.create(Lease(metadata=metadata, spec=LeaseSpec(holderIdentity=node, leaseDurationSeconds=seconds)))


def leases(client: Client) -> set[str | None]:
    return {lease.metadata.name for lease in client.list(Lease, namespace=NAMESPACE) if lease.metadata}


def test_nobody_waits(client: Client) -> None:
    assert nodes.pending(client) == ()


def test_who_waits_is_shown_with_what_it_proved(client: Client) -> None:
    ask(client, "cp-1")
    (request,) = nodes.pending(client)
    assert (request.name, request.role, request.variant) == ("cp-1", Role.CONTROL_PLANE, "qemu-vtpm")
    assert (request.identity, request.disk) == (IDENTITY, DISK)
    assert (request.decision, request.phase) == (Decision.NONE, "Pending")
    assert request.requested_at == datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_requests_come_by_name(client: Client) -> None:
    for name in ("cp-2", "cp-1"):
        ask(client, name)
    assert [request.name for request in nodes.join_requests(client)] == ["cp-1", "cp-2"]


def test_an_approval(client: Client) -> None:
    ask(client, "cp-1")
    assert nodes.approve(client, "cp-1").decision is Decision.APPROVED
    assert decision(client, "cp-1") == "Approved"
    assert nodes.pending(client) == ()


def test_approving_twice_is_approving_once(client: Client) -> None:
    ask(client, "cp-1")
    assert nodes.approve(client, "cp-1") == nodes.approve(client, "cp-1")


def test_a_denial(client: Client) -> None:
    ask(client, "cp-1")
    assert nodes.deny(client, "cp-1").decision is Decision.DENIED
    assert decision(client, "cp-1") == "Denied"


def test_a_person_may_think_again(client: Client) -> None:
    ask(client, "cp-1")
    nodes.deny(client, "cp-1")
    assert nodes.approve(client, "cp-1").decision is Decision.APPROVED


def test_kubectl_decides_as_well(client: Client, clean_cluster: ControlPlane) -> None:
    ask(client, "cp-1")
    clean_cluster.run_kubectl("patch", "joinrequest", "cp-1", "--type=merge", '-p={"spec":{"decision":"Approved"}}')
    assert nodes.join_requests(client)[0].decision is Decision.APPROVED


@pytest.mark.parametrize("digits", [IDENTITY, IDENTITY[:8]])
def test_a_decision_is_about_a_machine(client: Client, digits: str) -> None:
    ask(client, "cp-1")
    assert nodes.approve(client, "cp-1", identity=digits).decision is Decision.APPROVED


def test_another_machine_under_the_name_is_not_approved(client: Client) -> None:
    ask(client, "cp-1", identity="cd" * 32)
    with pytest.raises(ConflictError, match=r"expected the machine abab.*, got cdcd"):
        nodes.approve(client, "cp-1", identity=IDENTITY)
    assert decision(client, "cp-1") == ""


def test_a_machine_that_came_meanwhile_is_not_approved(client: Client) -> None:
    """Between the look and the decision somebody deletes the request, and another machine asks under its name."""
    ask(client, "cp-1")
    looked_at = nodes.pending(client)[0]
    client.delete(JoinRequestObject, "cp-1")
    ask(client, "cp-1", identity="cd" * 32)
    with pytest.raises(ConflictError):
        nodes.write_decision(client, looked_at, Decision.APPROVED)
    assert decision(client, "cp-1") == ""


def test_who_was_let_in_is_not_denied(client: Client) -> None:
    ask(client, "cp-1", phase="Admitted")
    with pytest.raises(ConflictError) as caught:
        nodes.deny(client, "cp-1")
    assert caught.value.hint == "constellation nodes forget cp-1"


@pytest.mark.parametrize("decide", [nodes.approve, nodes.deny, nodes.forget])
def test_who_is_not_there_cannot_be_decided_on(client: Client, decide: Callable[[Client, str], object]) -> None:
    with pytest.raises(ObjectNotFoundError, match="nobody"):
        decide(client, "nobody")


def test_nodes_are_listed_with_their_tickets(client: Client, worker: NodeIdentity) -> None:
    client.create(worker.to_object(annotations={}))
    status = {"status": {"tickets": 2, "lastTicket": "2026-11-21T13:00:00+01:00"}}
    client.patch(NodeIdentityObject.Status, worker.name, status, patch_type=PatchType.MERGE)
    (record,) = nodes.node_records(client)
    assert record.identity == worker
    assert record.tickets == 2
    assert record.last_ticket == datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_node_without_tickets_is_listed_too(client: Client, worker: NodeIdentity) -> None:
    client.create(worker.to_object(annotations={}))
    (record,) = nodes.node_records(client)
    assert (record.tickets, record.last_ticket) == (0, None)


def test_a_forgotten_node_leaves_nothing(client: Client, worker: NodeIdentity) -> None:
    client.create(worker.to_object(annotations={}))
    ask(client, "worker-1")
    claim(client, f"disk-{DISK}", "worker-1")
    claim(client, "mesh-10-213-1-7", "worker-1")
    token = ObjectMeta(name="bootstrap-token-abcdef", namespace="kube-system", labels={NODE_LABEL: "worker-1"})
    client.create(Secret(metadata=token, stringData={"token-id": "abcdef", "token-secret": "0123456789abcdef"}))
    assert nodes.forget(client, "worker-1") == (
        "nodeidentity/worker-1",
        "joinrequest/worker-1",
        "secret/bootstrap-token-abcdef",
        f"lease/disk-{DISK}",
        "lease/mesh-10-213-1-7",
    )
    assert (nodes.node_records(client), nodes.join_requests(client), leases(client)) == ((), (), set())


def test_what_others_hold_stays(client: Client, worker: NodeIdentity) -> None:
    client.create(worker.to_object(annotations={}))
    claim(client, "disk-of-another", "worker-10")
    claim(client, "control-plane-join", "worker-1", seconds=60)
    nodes.forget(client, "worker-1")
    assert leases(client) == {"disk-of-another", "control-plane-join"}


def test_who_was_interrupted_forgets_again(client: Client) -> None:
    claim(client, f"disk-{DISK}", "worker-1")
    assert nodes.forget(client, "worker-1") == (f"lease/disk-{DISK}",)


def test_somebody_else_may_not(client: Client, somebody: Client) -> None:
    ask(client, "cp-1")
    for refused in (nodes.pending, nodes.node_records):
        with pytest.raises(ClusterError, match="forbidden"):
            refused(somebody)
    for decide in (nodes.approve, nodes.forget):
        with pytest.raises(ClusterError, match="forbidden"):
            decide(somebody, "cp-1")


def test_an_api_server_that_is_not_there(clean_cluster: ControlPlane) -> None:
    config = KubeConfig.from_file(clean_cluster.kubeconfig())
    config.clusters["test"].server = "https://127.0.0.1:1"
    with Client(config, trust_env=False) as client, pytest.raises(ClusterError) as caught:
        nodes.pending(client)
    assert caught.value.hint == "is the cluster up?"
