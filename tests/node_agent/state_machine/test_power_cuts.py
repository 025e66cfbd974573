# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The power goes at every moment of init, join, rejoin and recovery: the next boot is a node, or waits to be one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError
from grpclib.exceptions import StreamTerminatedError

from constellation_core.errors import CoreError
from constellation_core.keys.key_material import KeyMaterial
from constellation_proto import init_pb2, recover_pb2
from constellation_proto.init_grpc import InitStub
from constellation_proto.recover_grpc import RecoverStub
from node_agent.errors import PermanentError, TemporaryError
from node_agent.phases import Phase
from node_agent.testing.parts import KUBECONFIG

from .conftest import PEERS

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret
    from node_agent.testing.join_service import FakeJoinService
    from node_agent.testing.machine import Boot, FakeMachine

Requests = Callable[..., init_pb2.InitRequest]

PREPARING = ("disk.examine", "disk.prepare", "disk.prepare done", "disk.mount", "mesh.protect")
MESH = ("mesh.start", "mesh.start done", "mesh.set_peers")
ADOPTING = ("disk.adopt", "disk.adopt done")
INIT = (*PREPARING, *MESH, "kubernetes.init", "kubernetes.init done", *ADOPTING)
JOIN = (*PREPARING, *MESH, "kubernetes.join", "kubernetes.join done", *ADOPTING)
JOIN_AS_CONTROL_PLANE = (
    *PREPARING,
    *MESH,
    "kubernetes.join",
    *ADOPTING,
    "kubernetes.member",
    "kubernetes.join done",
)
LATER = (
    "disk.examine",
    "disk.open",
    "disk.open done",
    "disk.mount done",
    "disk.grow",
    *MESH,
    "kubernetes.start_kubelet",
    "kubernetes.start_kubelet done",
)


async def init(boot: Boot, request: init_pb2.InitRequest) -> None:
    await boot.reached(Phase.WAITING)
    async with boot.administrator(boot.init_port) as channel:
        await InitStub(channel).Init(request)


async def recover(boot: Boot, master: MasterSecret) -> bytes:
    await boot.reached(Phase.LOCKED)
    async with boot.administrator(boot.recover_port) as channel:
        material = KeyMaterial.of(master).to_message()
        answer = await RecoverStub(channel).Recover(recover_pb2.RecoverRequest(key_material=material))
        return answer.kubeconfig


async def cut(machine: FakeMachine, moment: str, doing: Callable[[Boot], object]) -> Boot:
    """Do something with a machine until its power goes."""
    machine.moments.cut_at(moment)
    async with machine.booted() as boot:
        work = asyncio.ensure_future(_quietly(doing(boot)))
        async with asyncio.timeout(20):
            await machine.moments.dark.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    machine.moments.mend()
    return boot


async def _quietly(work: object) -> None:
    with suppress(GRPCError, CoreError, StreamTerminatedError, AssertionError, OSError):
        await work  # type: ignore[misc]


async def nothing() -> None:
    """What a worker's administrator does."""


@pytest.mark.parametrize("moment", INIT)
async def test_power_cut_during_init(
    machine: FakeMachine, init_request: Requests, master: MasterSecret, moment: str
) -> None:
    """Before the disk is adopted, the same request is repeated; after it, the cluster is recovered."""
    request = init_request()
    await cut(machine, moment, lambda boot: init(boot, request))
    async with machine.booted() as boot:
        await boot.until(lambda: boot.phases[-1:] in ([Phase.WAITING], [Phase.LOCKED]), "phase")
        assert (boot.phases[-1] == Phase.LOCKED) == (moment == "disk.adopt done")
        if moment == "disk.adopt done":
            assert await recover(boot, master) == KUBECONFIG, "the answer to init never arrived"
        else:
            await init(boot, request)
        await boot.reached(Phase.SERVING)
        assert boot.kubernetes.running


@pytest.mark.parametrize("moment", JOIN)
async def test_power_cut_during_join(machine: FakeMachine, cluster: FakeJoinService, moment: str) -> None:
    """The node comes back by itself, and always with the same disk: else nobody would know it."""
    machine.write_metadata(name="worker-0", role="worker")
    await cut(machine, moment, lambda _boot: nothing())
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
        assert boot.kubernetes.running
    assert {request.disk_uuid for request in cluster.tickets} == {boot.disk.header["uuid"]}


@pytest.mark.parametrize("moment", JOIN_AS_CONTROL_PLANE)
async def test_power_cut_while_a_control_plane_joins(
    machine: FakeMachine, cluster: FakeJoinService, moment: str
) -> None:
    """It comes back as the member of etcd that it was, or the cluster never heard of it."""
    await cut(machine, moment, lambda _boot: nothing())
    known = list(machine.etcd)
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
        assert boot.kubernetes.running
    assert len(machine.etcd) == 1
    assert machine.etcd[: len(known)] == known
    assert {request.disk_uuid for request in cluster.tickets} == {boot.disk.header["uuid"]}


@pytest.mark.parametrize("moment", ["kubernetes.member", "kubernetes.join done"])
async def test_a_control_plane_that_failed_after_etcd_took_it_in_finishes_what_it_began(
    machine: FakeMachine, cluster: FakeJoinService, moment: str
) -> None:
    machine.moments.break_at(moment, PermanentError("it is broken"))
    async with machine.booted() as boot:
        await boot.power.rebooted.wait()
    machine.moments.mend()
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
        assert boot.kubernetes.running
    assert len(machine.etcd) == 1
    assert len(cluster.tickets) == 1


async def test_what_is_tried_again_in_one_boot_adopts_the_disk_once(
    machine: FakeMachine, cluster: FakeJoinService
) -> None:
    machine.moments.break_at("kubernetes.member", TemporaryError("the API server does not answer"), times=2)
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
    assert machine.moments.seen.count("disk.adopt") == 1
    assert len(machine.etcd) == len(cluster.tickets) == 1


@pytest.fixture
async def node(machine: FakeMachine, init_request: Requests) -> FakeMachine:
    """A control plane that was initialised."""
    async with machine.booted() as boot:
        await init(boot, init_request())
        await boot.reached(Phase.SERVING)
    return machine


@pytest.mark.parametrize("moment", LATER)
async def test_power_cut_during_recovery(node: FakeMachine, master: MasterSecret, moment: str) -> None:
    await cut(node, moment, lambda boot: recover(boot, master))
    async with node.booted() as boot:
        await recover(boot, master)
        await boot.reached(Phase.SERVING)


@pytest.mark.parametrize("moment", LATER)
async def test_power_cut_during_rejoin(node: FakeMachine, join_service: FakeJoinService, moment: str) -> None:
    async with join_service.listening() as port:
        node.settings["join_port"] = port
        async with node.booted() as boot:
            join_service.holders[boot.disk.header["uuid"]] = await boot.identity()
        node.write_metadata(peers=PEERS)
        await cut(node, moment, lambda _boot: nothing())
        async with node.booted() as boot:
            await boot.reached(Phase.SERVING)
