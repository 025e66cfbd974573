# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a kubelet may read and write at a real API server: what the mesh believes stands on this."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest
from lightkube import ApiError
from lightkube.models.core_v1 import NodeSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node
from lightkube.resources.rbac_authorization_v1 import ClusterRoleBinding
from lightkube.types import PatchType

from constellation_core.cluster_objects import NodeIdentity, NodeIdentityObject
from constellation_core.testing.watching import until
from constellation_engine.cluster.manifests.access import access
from constellation_engine.testing.known_nodes import some_identity
from node_agent.https import RefusedError
from node_agent.network.claims import Identity, PodRange
from node_agent.network.following import Follower
from node_agent.network.mesh import IDENTITIES, NODES
from tests.node_agent.kubelets import as_agent, serve_nodes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lightkube import Client

    from constellation_engine.testing.control_plane import ControlPlane
    from node_agent.network.api_server import ApiServer

OWN: Final = "worker-1"
OTHER: Final = "worker-2"
PODS: Final = {"spec": {"podCIDR": "10.244.3.0/24", "podCIDRs": ["10.244.3.0/24"]}}
MERGE: Final = PatchType.MERGE


@pytest.fixture
def cluster(clean_cluster: ControlPlane) -> ControlPlane:
    """An API server with our kinds and our rights."""
    serve_nodes(clean_cluster.client())
    return clean_cluster


@pytest.fixture
def kubelet(cluster: ControlPlane) -> Client:
    return cluster.client(kubeconfig(cluster))


def kubeconfig(cluster: ControlPlane) -> Path:
    return cluster.kubeconfig(f"system:node:{OWN}", ("system:nodes",))


@pytest.fixture
def server(cluster: ControlPlane, tmp_path: Path) -> ApiServer:
    """The API server, as the agent reads it."""
    return as_agent(kubeconfig(cluster), tmp_path)


def identity(name: str, number: int) -> NodeIdentity:
    return some_identity(
        name,
        disk=f"3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c2{number}",
        wireguard_public_key=bytes([number] * 32),
        mesh_address=f"10.213.1.{number}",
        addresses=(f"192.0.2.{number}",),
    )


async def test_identities_are_followed(cluster: ControlPlane, server: ApiServer) -> None:
    client = cluster.client()
    client.create(identity(OWN, 1).to_object(annotations={}))
    follower = Follower(server, IDENTITIES, Identity.from_object, lambda: None)
    running = asyncio.create_task(follower.run())
    try:
        await until(lambda: len(follower.records or ()) == 1)
        client.create(identity(OTHER, 2).to_object(annotations={}))
        await until(lambda: len(follower.records or ()) == 2)
        client.delete(NodeIdentityObject, OWN)
        await until(lambda: len(follower.records or ()) == 1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    found = [(known.peer.public_key, known.peer.endpoints) for known in follower.records or ()]
    assert found == [(bytes([2] * 32), ("192.0.2.2",))]


async def test_a_kubelet_reads_no_other_node_without_our_rights(cluster: ControlPlane, server: ApiServer) -> None:
    cluster.client().delete(ClusterRoleBinding, "constellation-nodes")
    try:
        refusal = await refused(server)
    finally:
        for manifest in access(wraps_keys=False):
            cluster.client().apply(manifest, field_manager="test")
    assert "cannot read all nodes, only its own Node object" in str(refusal)
    assert "system:nodes" in refusal.hint


async def refused(server: ApiServer) -> RefusedError:
    """Ask until it is refused: rights change a moment after they were changed."""
    async with asyncio.timeout(10), server.connection() as connection:
        while True:
            try:
                await connection.get(NODES)
            except RefusedError as error:
                return error


async def test_nodes_are_followed_with_our_rights(cluster: ControlPlane, server: ApiServer) -> None:
    client = cluster.client()
    client.create(Node(metadata=ObjectMeta(name=OTHER)))
    follower = Follower(server, NODES, PodRange.from_object, lambda: None)
    running = asyncio.create_task(follower.run())
    try:
        await until(lambda: len(follower.records or ()) == 1)
        client.patch(Node, OTHER, {"spec": {"podCIDR": "10.244.2.0/24", "podCIDRs": ["10.244.2.0/24"]}})
        await until(lambda: any(found.network for found in follower.records or ()))
        client.delete(Node, OTHER)
        await until(lambda: not follower.records)
        assert follower.missing is None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_a_kubelet_writes_no_identity(cluster: ControlPlane, kubelet: Client) -> None:
    cluster.client().create(identity(OWN, 1).to_object(annotations={}))
    for change in (
        lambda: kubelet.create(identity(OTHER, 2).to_object(annotations={})),
        lambda: kubelet.patch(NodeIdentityObject, OWN, {"spec": {"meshAddress": "10.213.1.9"}}, patch_type=MERGE),
        lambda: kubelet.delete(NodeIdentityObject, OWN),
    ):
        assert refusal(change) == 403


def test_a_kubelet_gives_pods_to_no_other_node(cluster: ControlPlane, kubelet: Client) -> None:
    cluster.client().create(Node(metadata=ObjectMeta(name=OTHER)))
    assert refusal(lambda: kubelet.patch(Node, OTHER, PODS)) == 403
    assert refusal(lambda: kubelet.delete(Node, OTHER)) == 403


def test_a_kubelet_may_claim_pods_once_and_that_is_why_claims_are_judged(kubelet: Client) -> None:
    kubelet.create(Node(metadata=ObjectMeta(name=OWN), spec=NodeSpec(podCIDR="10.244.2.0/24")))
    assert refusal(lambda: kubelet.patch(Node, OWN, PODS)) in {403, 422}
    assert refusal(lambda: kubelet.delete(Node, OWN)) == 403


def refusal(change: Callable[[], object]) -> int:
    with pytest.raises(ApiError) as caught:
        change()
    return caught.value.status.code or 0
