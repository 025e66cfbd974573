# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real etcd loses the members that the cluster forgot, and no other."""

from __future__ import annotations

import shutil
from ipaddress import IPv4Address
from itertools import count
from typing import TYPE_CHECKING, Final

import pytest

from constellation_core.cluster_objects import NodeIdentityObject
from constellation_core.roles import Role
from constellation_engine.testing.known_nodes import some_identity
from node_agent.errors import TemporaryError
from node_agent.kubernetes.etcd_members import Etcd, retire_forgotten
from tests.node_agent.kubelets import as_agent, serve_nodes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from constellation_engine.testing.control_plane import ControlPlane
    from node_agent.network.api_server import ApiServer

OWN: Final = IPv4Address("127.0.0.1")  # where the only member of a test's etcd is
OTHERS: Final = (IPv4Address(f"10.213.1.{number}") for number in count(2))


@pytest.fixture
def cluster(clean_cluster: ControlPlane) -> ControlPlane:
    """An API server with our kinds and rights, and a node."""
    serve_nodes(clean_cluster.client())
    register(clean_cluster, "control-plane-0", OWN)
    return clean_cluster


@pytest.fixture
def etcd(cluster: ControlPlane, tmp_path: Path) -> Etcd:
    """The member here, with the files that kubeadm makes for asking after its health."""
    shutil.copy(cluster.pki / "etcd" / "ca.crt", tmp_path / "ca.crt")
    for kind in ("crt", "key"):
        shutil.copy(cluster.pki / f"apiserver-etcd-client.{kind}", tmp_path / f"healthcheck-client.{kind}")
    return Etcd(tmp_path, cluster.etcd_port)


@pytest.fixture
def server(cluster: ControlPlane, tmp_path: Path) -> ApiServer:
    return as_agent(cluster.kubeconfig("system:node:control-plane-0", ("system:nodes",)), tmp_path)


@pytest.fixture
async def other(etcd: Etcd) -> AsyncIterator[IPv4Address]:
    """Another member: it has no vote yet, so that the one which runs can go on alone.

    Each has an address of its own: etcd takes in no member again that it removed within the same second.
    """
    address = next(OTHERS)
    async with etcd.connection() as connection:
        wanted = {"peerURLs": [f"https://{address}:2380"], "isLearner": True}
        added = await connection.post("/v3/cluster/member/add", wanted)
    yield address
    async with etcd.connection() as connection:
        if address in await addresses(etcd):
            await connection.post("/v3/cluster/member/remove", {"ID": added["member"]["ID"]})


def register(cluster: ControlPlane, name: str, address: IPv4Address, role: Role = Role.CONTROL_PLANE) -> None:
    last = address.packed[-1]
    identity = some_identity(
        name,
        role=role,
        disk=f"3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c2{last}",
        wireguard_public_key=bytes([last] * 32),
        mesh_address=str(address),
        addresses=(),
    )
    cluster.client().create(identity.to_object(annotations={}))


async def addresses(etcd: Etcd) -> set[IPv4Address]:
    async with etcd.connection() as connection:
        members = (await connection.post("/v3/cluster/member/list", {}))["members"]
    return {IPv4Address(member["peerURLs"][0].split("/")[2].split(":")[0]) for member in members}


async def test_a_member_that_was_forgotten_goes(etcd: Etcd, server: ApiServer, other: IPv4Address) -> None:
    assert await addresses(etcd) == {OWN, other}
    retired = await retire_forgotten(etcd, server, OWN)
    assert [member.address for member in retired] == [other]
    assert await addresses(etcd) == {OWN}


async def test_twice_is_once(etcd: Etcd, server: ApiServer, other: IPv4Address) -> None:
    assert [member.address for member in await retire_forgotten(etcd, server, OWN)] == [other]
    assert await retire_forgotten(etcd, server, OWN) == ()


async def test_a_control_plane_stays(cluster: ControlPlane, etcd: Etcd, server: ApiServer, other: IPv4Address) -> None:
    register(cluster, "control-plane-1", other)
    assert await retire_forgotten(etcd, server, OWN) == ()
    assert await addresses(etcd) == {OWN, other}


async def test_a_worker_is_no_member(cluster: ControlPlane, etcd: Etcd, server: ApiServer, other: IPv4Address) -> None:
    register(cluster, "worker-0", other, Role.WORKER)
    assert [member.address for member in await retire_forgotten(etcd, server, OWN)] == [other]


async def test_an_answer_without_ourselves_removes_nobody(
    cluster: ControlPlane, etcd: Etcd, server: ApiServer, other: IPv4Address
) -> None:
    cluster.client().delete(NodeIdentityObject, "control-plane-0")
    with pytest.raises(TemporaryError, match=r"expected a NodeIdentity with our address 127\.0\.0\.1"):
        await retire_forgotten(etcd, server, OWN)
    assert await addresses(etcd) == {OWN, other}


async def test_an_etcd_that_does_not_run_is_tried_again(etcd: Etcd, server: ApiServer) -> None:
    with pytest.raises(TemporaryError, match="etcd: cannot connect"):
        await retire_forgotten(Etcd(etcd.pki, 1), server, OWN)


async def test_missing_files_are_tried_again(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="etcd: cannot read what to show it"):
        await retire_forgotten(Etcd(tmp_path / "nothing"), server, OWN)
