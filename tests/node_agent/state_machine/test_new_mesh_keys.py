# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node that rejoins has a new key in the mesh: its own and the one that peers are told are always the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError, Status

from constellation_core.keys.key_material import KeyMaterial
from constellation_proto import recover_pb2
from constellation_proto.recover_grpc import RecoverStub
from node_agent.network.keys import KEY_FILE, NEXT_KEY_FILE
from node_agent.phases import Phase

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret
    from node_agent.testing.join_service import FakeJoinService
    from node_agent.testing.machine import Boot, FakeMachine


@pytest.fixture
async def worker(machine: FakeMachine, cluster: FakeJoinService) -> FakeMachine:
    """A node that joined; moments of its join service are its own too."""
    machine.write_metadata(name="worker-0", role="worker")
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
        assert boot.mesh.public_key == told(cluster)
    cluster.moments = machine.moments
    return machine


def told(cluster: FakeJoinService) -> bytes:
    """Which key its peers are told."""
    (key,) = cluster.mesh_keys.values()
    return key


def kept(boot: Boot) -> set[str]:
    return {path.name for path in boot.settings.mesh_folder.iterdir()}


async def served(machine: FakeMachine) -> Boot:
    """Boot it until it serves, and leave it off."""
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
        assert kept(boot) >= {KEY_FILE}
    return boot


async def test_each_boot_has_a_key_of_its_own(worker: FakeMachine, cluster: FakeJoinService) -> None:
    seen = {told(cluster)}
    for _ in range(2):
        async with worker.booted() as boot:
            await boot.reached(Phase.SERVING)
            assert boot.mesh.public_key == told(cluster)
            assert kept(boot) == {KEY_FILE}
        seen.add(told(cluster))
    assert len(seen) == 3
    assert "the mesh has a new key" in boot.said


async def test_addresses_are_told_anew(
    worker: FakeMachine, cluster: FakeJoinService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_agent.machine.own_addresses", lambda: {"eth0": "192.0.2.77"})
    await served(worker)
    assert cluster.addresses == ["192.0.2.77"]


@pytest.mark.parametrize("moment", ["service.new_key", "service.new_key done", "mesh.start", "mesh.start done"])
async def test_power_cut_while_the_key_changes(worker: FakeMachine, cluster: FakeJoinService, moment: str) -> None:
    worker.moments.cut_at(moment)
    async with worker.booted(), asyncio.timeout(20):
        await worker.moments.dark.wait()
    worker.moments.mend()
    worker.moments.go_on()
    boot = await served(worker)
    assert boot.mesh.public_key == told(cluster)


@pytest.mark.parametrize("moment", ["service.new_key", "service.new_key done"])
async def test_an_answer_that_was_lost_is_asked_for_again(
    worker: FakeMachine, cluster: FakeJoinService, moment: str
) -> None:
    worker.moments.break_at(moment, GRPCError(Status.UNAVAILABLE, "not now"), times=2)
    boot = await served(worker)
    assert boot.mesh.public_key == told(cluster)


async def test_who_is_refused_keeps_its_key(worker: FakeMachine, cluster: FakeJoinService) -> None:
    before = told(cluster)
    worker.moments.break_at("service.new_key", GRPCError(Status.PERMISSION_DENIED, "mesh key: another node's"))
    boot = await served(worker)
    assert boot.mesh.public_key == told(cluster) == before
    assert "the mesh keeps its key: the join service refuses: mesh key: another node's" in boot.said


async def test_a_service_of_an_older_release_changes_no_key(worker: FakeMachine, cluster: FakeJoinService) -> None:
    before, cluster.keeps_keys = told(cluster), True
    boot = await served(worker)
    assert boot.mesh.public_key == told(cluster) == before


async def test_a_ticket_is_believed_about_peers_and_an_old_record_is_not(
    worker: FakeMachine, cluster: FakeJoinService
) -> None:
    """A disk that was rolled back remembers keys that are nobody's any more."""
    old = bytes(reversed(range(32)))
    async with worker.booted() as boot:
        await boot.until(lambda: boot.mesh.learnt, "a mesh that follows")
        assert boot.mesh.learnt is not None
        (peer,) = boot.mesh.peers
        boot.mesh.learnt([type(peer)(name="worker-9", public_key=old, mesh_address=peer.mesh_address)])
    async with worker.booted() as boot:
        await boot.reached(Phase.SERVING)
        assert old not in {peer.public_key for peer in boot.mesh.peers}
        assert [peer.name for peer in boot.mesh.peers] == ["control-9"]
    assert cluster.rejoins


async def test_recovery_changes_no_key(machine: FakeMachine, cluster: FakeJoinService, master: MasterSecret) -> None:
    """Nobody could tell peers."""
    await served(machine)
    before, cluster.refusals = told(cluster), [GRPCError(Status.UNAVAILABLE, "not now")] * 100_000
    async with machine.booted() as boot:
        await boot.reached(Phase.LOCKED)
        async with boot.administrator(boot.recover_port) as channel:
            material = KeyMaterial.of(master).to_message()
            await RecoverStub(channel).Recover(recover_pb2.RecoverRequest(key_material=material))
        await boot.reached(Phase.SERVING)
        assert boot.mesh.public_key == told(cluster) == before
        assert NEXT_KEY_FILE not in kept(boot)
        assert [peer.name for peer in boot.mesh.peers] == ["control-9"], "control planes meet as the disk remembers"
