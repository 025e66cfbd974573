# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing is faked but the machine: swtpm on both sides, real etcd and kube-apiserver, three services as processes."""

from __future__ import annotations

import asyncio
import base64
import itertools
import signal
import socket
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node as KubernetesNode

from attestation.policy import Policy
from attestation.tpm.client import Tpm
from constellation_core.errors import KeyProviderError
from constellation_core.keys.derivation import MEASUREMENT_SECRET, derive, state_disk
from constellation_core.roles import Role
from constellation_core.testing.watching import until
from constellation_engine.cluster.members import read_members
from constellation_engine.cluster.verify import verify_cluster
from constellation_services.join.admission import CONTROL_PLANE_LABEL
from constellation_services.testing.verified_node import POLICY
from node_agent.errors import PermanentError, TemporaryError
from tests.end_to_end.processes import log_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.conftest import NewNode
    from tests.end_to_end.processes import Node, ServiceProcess, ThreeServices

OTHERS = Policy.from_mapping(POLICY.to_mapping() | {"measurements": {"4": {"expected": "ab" * 32, "enforced": True}}})
"""Accepts an image that nobody here runs."""


SOON = 2.0  # seconds


@pytest.fixture
def disk() -> str:
    return str(uuid.uuid4())


@pytest.fixture(autouse=True)
def _empty(world: ThreeServices) -> None:
    """Every test begins without nodes."""
    world.forget_all()


@pytest.fixture
def usual_config(world: ThreeServices) -> Iterator[None]:
    """Whatever a test writes, the next one finds the usual join-config."""
    yield
    world.set_join_config()


def is_ready(world: ThreeServices, name: str) -> None:
    """Do what the kubelet of a control plane does in the end."""
    world.client.create(KubernetesNode(metadata=ObjectMeta(name=name, labels={CONTROL_PLANE_LABEL: ""})))
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    world.client.patch(KubernetesNode.Status, name, {"status": status})


async def test_nodes_join_and_can_be_verified(world: ThreeServices, join: ServiceProcess, node: NewNode) -> None:
    """The whole path: tickets, marks, and the administrator who verifies all nodes that the cluster knows."""
    nodes = [node("worker-a"), node("worker-b")]
    files = [one.mark(await one.ticket([join], Role.WORKER)) for one in nodes]
    with ExitStack() as stack:
        running = [world.running_verify(one, file) for one, file in zip(nodes, files, strict=True)]
        starting = [asyncio.to_thread(stack.enter_context, one) for one in running]
        endpoints = await asyncio.gather(*starting)
        members = read_members(world.client)
        verdict = await verify_cluster(endpoints, [POLICY], cluster_id=world.cluster_id, members=members)
    assert verdict.accepted, verdict.to_mapping()
    assert [member.name for member in members] == ["worker-a", "worker-b"]


async def test_a_node_gets_the_keys_that_derive_from_the_master_secret(
    world: ThreeServices, join: ServiceProcess, node: NewNode, disk: str
) -> None:
    ticket = await node("worker-keys").ticket([join], Role.WORKER, disk=disk)
    for got, key_id in ((ticket.state_disk_key, state_disk(disk)), (ticket.measurement_secret, MEASUREMENT_SECRET)):
        assert got == derive(world.master.secret, world.master.salt, key_id).reveal()


async def test_another_node_does_not_get_the_disk(join: ServiceProcess, node: NewNode, disk: str) -> None:
    await node("worker-first").ticket([join], Role.WORKER, disk=disk)
    with pytest.raises(PermanentError, match=f"disk {disk} belongs to another machine"):
        await node("worker-second").ticket([join], Role.WORKER, disk=disk)


async def test_a_fourth_control_plane_is_refused(world: ThreeServices, join: ServiceProcess, node: NewNode) -> None:
    machine = node("control-plane")
    for name in ("cp-1", "cp-2", "cp-3"):
        assert (await machine.ticket([join], Role.CONTROL_PLANE, name=name)).control_plane_files
        is_ready(world, name)
    with pytest.raises(PermanentError, match="control planes: expected at most 3, got another one"):
        await node("another").ticket([join], Role.CONTROL_PLANE, name="cp-4")


async def test_a_machine_of_another_image_is_refused(join: ServiceProcess, node: NewNode) -> None:
    machine = node("tampered")
    with Tpm.open(machine.tpm.address) as tpm:
        tpm.pcr_extend(11, bytes(32))
    with pytest.raises(PermanentError, match=r"measurements\.11: expected"):
        await machine.ticket([join], Role.WORKER)


async def test_a_machine_that_belongs_to_a_cluster_does_not_join_again(join: ServiceProcess, node: NewNode) -> None:
    """Register 15 must be zero: what runs behind the mark is no more what was measured."""
    machine = node("marked")
    machine.mark(await machine.ticket([join], Role.WORKER))
    with pytest.raises(PermanentError, match="mark: expected register 15 that no cluster has marked"):
        await machine.ticket([join], Role.WORKER)


@pytest.mark.parametrize("account", ["csi-node", "s3proxy", "verification-service", "default"])
async def test_a_pod_of_another_account_does_not_get_the_key_of_a_node(
    world: ThreeServices, keys: ServiceProcess, account: str, disk: str
) -> None:
    async with world.key_client(keys, account) as client:
        for key_id in (state_disk(disk), MEASUREMENT_SECRET):
            with pytest.raises(KeyProviderError, match="PERMISSION_DENIED"):
                await client.data_key(key_id, 32)


@pytest.mark.usefixtures("usual_config")
async def test_a_changed_join_config_takes_effect_at_once(
    world: ThreeServices, join: ServiceProcess, node: NewNode
) -> None:
    machine = node("changing")
    await machine.ticket([join], Role.WORKER, name="before")
    world.set_join_config(policy=OTHERS)
    with pytest.raises(PermanentError, match=r"measurements\.4: expected abab"):
        await joins_until_refused(machine, join)
    assert join.child.poll() is None


@pytest.mark.usefixtures("usual_config")
async def test_a_broken_join_config_changes_nothing_and_says_so(
    world: ThreeServices, join: ServiceProcess, node: NewNode
) -> None:
    usable = "constellation_join_config_usable"
    world.write_join_config("version: 1\npolicies: [{variant: enigma, measurements: {}}]\n")
    await until(lambda: join.metric(usable) == 0, timeout=SOON)
    assert (await node("worker-broken").ticket([join], Role.WORKER)).mesh_address
    await until(lambda: world.events("JoinConfigRefused"))
    assert "the version before it still holds" in world.events("JoinConfigRefused")[-1]
    assert '"ready": true' in join.status("/readyz")
    world.set_join_config()
    await until(lambda: join.metric(usable) == 1, timeout=SOON)


async def joins_until_refused(machine: Node, join: ServiceProcess) -> None:
    """Join as node after node, for two seconds at most."""
    async with asyncio.timeout(SOON):
        for number in itertools.count():
            await machine.ticket([join], Role.WORKER, name=f"meanwhile-{number}")


async def test_a_service_that_is_to_end_answers_first(
    world: ThreeServices, keys: ServiceProcess, node: NewNode
) -> None:
    """SIGTERM in the middle of a ticket, which waits for the key service; then the process ends well."""
    with world.running_join(node("control-plane-9").tpm, keys, "leaving") as leaving:
        keys.child.send_signal(signal.SIGSTOP)
        try:
            joining = asyncio.create_task(node("worker-late").ticket([leaving], Role.WORKER))
            await until(lambda: waits(leaving))
            leaving.child.terminate()
            await until(lambda: not accepts(leaving))
            assert not joining.done()
        finally:
            keys.child.send_signal(signal.SIGCONT)
        assert (await joining).mesh_address
        assert await asyncio.to_thread(leaving.child.wait, 10) == 0


async def test_no_log_has_a_secret(
    world: ThreeServices, keys: ServiceProcess, join: ServiceProcess, node: NewNode, disk: str
) -> None:
    ticket = await node("worker-log").ticket([join], Role.WORKER, disk=disk)
    with pytest.raises(PermanentError):
        await node("worker-log-2").ticket([join], Role.WORKER, disk=disk)
    secrets = [ticket.state_disk_key, ticket.measurement_secret, world.master.secret.reveal()]
    spellings = [spelling for one in secrets for spelling in (one.hex(), base64.b64encode(one).decode())]
    for process in (keys, join):
        lines = log_lines(process)
        assert lines
        said = process.log.read_text()
        assert not [one for one in (*spellings, ticket.bootstrap_token) if one in said]


@pytest.mark.slow
async def test_a_service_that_was_killed_comes_back_and_nothing_is_lost(
    world: ThreeServices, keys: ServiceProcess, node: NewNode, disk: str
) -> None:
    """SIGKILL in the middle of a ticket."""
    tpm, machine = node("control-plane-8").tpm, node("worker-killed")
    with world.running_join(tpm, keys, "killed") as killed:
        keys.child.send_signal(signal.SIGSTOP)
        try:
            joining = asyncio.create_task(machine.ticket([killed], Role.WORKER, disk=disk, timeout=5))
            await until(lambda: waits(killed))
            killed.child.kill()
        finally:
            keys.child.send_signal(signal.SIGCONT)
        with pytest.raises(TemporaryError):
            await joining
    with world.running_join(tpm, keys, "back") as back:
        assert (await machine.ticket([back], Role.WORKER, disk=disk)).mesh_address


def accepts(process: ServiceProcess) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", process.port), timeout=1).close()
    except OSError:
        return False
    return True


def waits(process: ServiceProcess) -> bool:
    """Whether a machine was accepted: it waits for its ticket."""
    return process.metric('constellation_join_connections_total{outcome="accepted"}') > 0
