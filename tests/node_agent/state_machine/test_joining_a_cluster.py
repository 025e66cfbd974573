# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Join: a machine finds a cluster in its metadata, both judge one another, and the machine becomes a node."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError, Status

from constellation_core.keys.derivation import derive, state_disk
from constellation_core.roles import Role
from constellation_proto import init_pb2
from constellation_proto.init_grpc import InitStub
from node_agent.errors import PermanentError, TemporaryError
from node_agent.membership import Membership
from node_agent.parts import JoinPlan
from node_agent.phases import Phase
from node_agent.testing.machine import MEASUREMENTS

from .conftest import PEERS

if TYPE_CHECKING:
    from node_agent.testing.join_service import FakeJoinService
    from node_agent.testing.machine import FakeMachine

Requests = Callable[..., init_pb2.InitRequest]

OTHERS = MEASUREMENTS | {"4": {"expected": "ab" * 32, "enforced": True}}


@pytest.fixture
def worker(machine: FakeMachine) -> FakeMachine:
    machine.write_metadata(name="worker-0", role="worker")
    return machine


async def test_a_worker_joins(worker: FakeMachine, cluster: FakeJoinService) -> None:
    async with worker.booted() as boot:
        await boot.reached(Phase.SERVING)
    assert boot.phases == ["starting", "metadata", "waiting", "joining", "serving"]
    (request,) = cluster.tickets
    assert request.disk_uuid == boot.disk.header["uuid"]
    key = derive(cluster.master.secret, cluster.master.salt, state_disk(request.disk_uuid))
    assert boot.disk.header["key"] == key.reveal().hex()


async def test_the_plan_is_what_the_ticket_says(worker: FakeMachine, cluster: FakeJoinService) -> None:
    async with worker.booted() as boot:
        await boot.reached(Phase.SERVING)
    plan = boot.kubernetes.plan
    assert isinstance(plan, JoinPlan)
    assert (plan.node_name, plan.role, plan.api_endpoint) == ("worker-0", "worker", "127.0.0.1:6443")
    assert plan.bootstrap_token.reveal() == b"abcdef.0123456789abcdef"
    assert plan.control_plane_files == ()
    assert boot.mesh.protected == "10.244.0.0/16"
    assert [peer.name for peer in boot.mesh.peers] == ["control-9"]
    assert len(cluster.tickets) == 1


async def test_a_control_plane_joins_with_the_files_of_the_others(
    machine: FakeMachine, cluster: FakeJoinService
) -> None:
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
        await boot.until(lambda: not boot.listens(boot.init_port), "closed port")
    plan = boot.kubernetes.plan
    assert isinstance(plan, JoinPlan)
    assert [file.path for file in plan.control_plane_files] == ["pki/ca.key"]
    assert len(cluster.tickets) == 1


async def test_a_node_that_joins_is_not_initialised(
    machine: FakeMachine, cluster: FakeJoinService, init_request: Requests
) -> None:
    machine.moments.cut_at("kubernetes.join")
    async with machine.booted() as boot:
        await machine.moments.dark.wait()
        async with boot.administrator(boot.init_port, cluster.cluster_id) as channel:
            with pytest.raises(GRPCError, match="found a cluster") as error:
                await InitStub(channel).Init(init_request())
    assert error.value.status is Status.FAILED_PRECONDITION


async def test_an_init_ends_the_search_for_a_cluster(
    machine: FakeMachine, join_service: FakeJoinService, init_request: Requests
) -> None:
    join_service.refusals = [GRPCError(Status.UNAVAILABLE, "not now")] * 100_000
    async with join_service.listening() as port:
        machine.settings["join_port"] = port
        machine.write_metadata(peers=PEERS)
        async with machine.booted() as boot:
            await boot.heard("not now")
            async with boot.administrator(boot.init_port) as channel:
                await InitStub(channel).Init(init_request())
            await boot.reached(Phase.SERVING)
            join_service.refusals.clear()
    assert boot.phases == ["starting", "metadata", "waiting", "initializing", "serving"]


async def test_a_cluster_that_comes_later_is_found(worker: FakeMachine, join_service: FakeJoinService) -> None:
    async with join_service.listening() as port:
        worker.settings["join_port"] = port
        async with worker.booted() as boot:
            await boot.reached(Phase.WAITING)
            worker.write_metadata(peers=PEERS)
            await boot.reached(Phase.SERVING)


async def test_broken_metadata_does_not_end_the_search(worker: FakeMachine, join_service: FakeJoinService) -> None:
    async with join_service.listening() as port:
        worker.settings["join_port"] = port
        async with worker.booted() as boot:
            await boot.reached(Phase.WAITING)
            (worker.drive / "metadata.json").write_text("{")
            await boot.heard("metadata is not JSON")
            worker.write_metadata(peers=PEERS)
            await boot.reached(Phase.SERVING)


async def test_a_refusal_is_shown_and_asked_again(worker: FakeMachine, cluster: FakeJoinService) -> None:
    cluster.refusals = [GRPCError(Status.PERMISSION_DENIED, "a person denied this node")] * 2
    async with worker.booted() as boot:
        await boot.reached(Phase.SERVING)
    assert "the join service refuses: a person denied this node" in boot.screen
    assert len(cluster.tickets) == 3


async def test_a_worker_whose_clock_is_off_says_so_and_is_not_marked(
    worker: FakeMachine, cluster: FakeJoinService
) -> None:
    cluster.change = lambda ticket: ticket.now.FromDatetime(datetime.now(UTC) - timedelta(days=1))
    async with worker.booted() as boot:
        await boot.heard("the clock of this machine says")
        assert not any(boot.registers()[15])


async def test_strangers_get_nothing_and_are_shown(worker: FakeMachine, join_service: FakeJoinService) -> None:
    join_service.measurements = OTHERS
    async with join_service.listening() as port:
        worker.settings["join_port"] = port
        worker.write_metadata(peers=PEERS)
        async with worker.booted() as boot:
            await boot.heard("measurements.4: expected")
            assert boot.phases[-1] == Phase.WAITING
    assert not join_service.tickets


async def test_a_machine_that_is_not_accepted_says_so(worker: FakeMachine, join_service: FakeJoinService) -> None:
    join_service.accepted = OTHERS
    async with join_service.listening() as port:
        worker.settings["join_port"] = port
        worker.write_metadata(peers=PEERS)
        async with worker.booted() as boot:
            await boot.heard("the server does not accept this machine: measurements.4")
            assert not any(boot.registers()[15])


@pytest.mark.parametrize(
    "field, value",
    [
        ("state_disk_key", b""),
        ("state_disk_key", b"short"),
        ("measurement_secret", b"short"),
        ("measurement_salt", b""),
        ("mesh_address", "nowhere"),
        ("pod_cidr", ""),
        ("service_cidr", "10.96.0.1/12"),
        ("bootstrap_token", ""),
    ],
)
async def test_a_ticket_that_cannot_be_used_changes_nothing(
    worker: FakeMachine, cluster: FakeJoinService, field: str, value: object
) -> None:
    cluster.change = lambda ticket: setattr(ticket, field, value)
    async with worker.booted() as boot:
        await boot.heard("the ticket: ")
        cluster.change = lambda _ticket: None
        await boot.reached(Phase.SERVING)


async def test_a_peer_that_is_none_changes_nothing(worker: FakeMachine, cluster: FakeJoinService) -> None:
    cluster.change = lambda ticket: setattr(ticket.mesh_peers[0], "wireguard_public_key", b"short")
    async with worker.booted() as boot:
        await boot.heard("the ticket: mesh peer: expected a key of 32 bytes, got 5")
        assert not any(boot.registers()[15])


@pytest.mark.parametrize("moment", ["mesh.start", "kubernetes.join", "disk.adopt"])
async def test_what_fails_after_the_mark_ends_in_another_boot_that_joins(
    worker: FakeMachine, cluster: FakeJoinService, moment: str
) -> None:
    worker.moments.break_at(moment, PermanentError("it is broken"))
    async with worker.booted() as boot:
        await boot.power.rebooted.wait()
    assert "it is broken" in boot.screen
    worker.moments.mend()
    async with worker.booted() as boot:
        await boot.reached(Phase.SERVING)
    assert {request.disk_uuid for request in cluster.tickets} == {boot.disk.header["uuid"]}


async def test_what_works_later_is_tried_again(worker: FakeMachine, cluster: FakeJoinService) -> None:
    worker.moments.break_at("kubernetes.join", TemporaryError("the API server does not answer"), times=2)
    async with worker.booted() as boot:
        await boot.reached(Phase.SERVING)
    assert len(cluster.tickets) == 1


async def test_peers_that_are_learnt_are_kept(worker: FakeMachine, cluster: FakeJoinService) -> None:
    async with worker.booted() as boot:
        await boot.reached(Phase.SERVING)
        await boot.until(lambda: boot.mesh.learnt, "a mesh that follows")
        assert boot.mesh.learnt is not None
        boot.mesh.learnt([])
        assert Membership.load(boot.settings.state).peers == ()
    assert cluster.tickets


@pytest.mark.parametrize(
    "error",
    [
        TemporaryError("the API server does not answer"),
        PermanentError("the mesh was not started"),
        ExceptionGroup("two at once", [ValueError("a bug"), ValueError("another")]),
    ],
)
async def test_a_node_that_serves_goes_on_where_the_mesh_does_not_follow(
    worker: FakeMachine, cluster: FakeJoinService, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("node_agent.state_machine.FOLLOW_AGAIN", 0.01)
    worker.moments.break_at("mesh.follow", error, times=2)
    async with worker.booted() as boot:
        await boot.until(lambda: boot.mesh.learnt, "a mesh that follows")
        assert boot.phases[-1] == Phase.SERVING
    assert cluster.tickets


@pytest.mark.parametrize("role", Role)
async def test_control_planes_see_to_the_members_of_etcd(
    machine: FakeMachine, cluster: FakeJoinService, role: Role
) -> None:
    machine.write_metadata(name="node-3", role=role.value, peers=PEERS)
    async with machine.booted() as boot:
        await boot.until(lambda: boot.mesh.learnt, "a mesh that follows")
        assert boot.mesh.learnt is not None
        boot.mesh.learnt([])
        if role is Role.CONTROL_PLANE:
            await boot.until(lambda: boot.kubernetes.looks, "a look at the members of etcd")
            assert boot.kubernetes.keeps_members == Membership.load(boot.settings.state).mesh_address
        else:
            assert boot.kubernetes.keeps_members is None
    assert cluster.tickets
