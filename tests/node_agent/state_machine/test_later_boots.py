# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Later boots: a join service knows the key of the disk, or an administrator brings the key material."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import bcrypt
import pytest
from grpclib import GRPCError, Status

from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.master_secret import MasterSecret
from constellation_proto import init_pb2, recover_pb2
from constellation_proto.init_grpc import InitStub
from constellation_proto.recover_grpc import RecoverStub
from node_agent.errors import PermanentError, TemporaryError
from node_agent.phases import Phase
from node_agent.testing.parts import KUBECONFIG

from .conftest import PEERS

if TYPE_CHECKING:
    from node_agent.testing.join_service import FakeJoinService
    from node_agent.testing.machine import Boot, FakeMachine

Requests = Callable[..., init_pb2.InitRequest]
RECOVERY_SECRET = b"a recovery secret"


@pytest.fixture
async def node(machine: FakeMachine, init_request: Requests) -> FakeMachine:
    """A control plane that was initialised, and lost its power."""
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        async with boot.administrator(boot.init_port) as channel:
            await InitStub(channel).Init(init_request())
        await boot.reached(Phase.SERVING)
    machine.moments.seen.clear()
    return machine


@pytest.fixture
async def known(node: FakeMachine, cluster: FakeJoinService) -> FakeJoinService:
    """The cluster of that node, which knows it."""
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        identity = await boot.identity()
    cluster.holders[boot.disk.header["uuid"]] = identity
    return cluster


async def recover(boot: Boot, master: MasterSecret, secret: bytes = b"") -> None:
    async with boot.administrator(boot.recover_port) as channel:
        material = KeyMaterial.of(master).to_message()
        await RecoverStub(channel).Recover(recover_pb2.RecoverRequest(key_material=material, recovery_secret=secret))


async def refusal(boot: Boot, master: MasterSecret, secret: bytes = b"") -> GRPCError:
    with pytest.raises(GRPCError) as error:
        await recover(boot, master, secret)
    return error.value


async def test_a_node_rejoins_by_itself(node: FakeMachine, known: FakeJoinService) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.SERVING)
    assert boot.phases == ["starting", "metadata", "locked", "unlocking", "starting-kubernetes", "serving"]
    assert boot.kubernetes.running
    assert known.rejoins[-1] == boot.disk.header["uuid"]
    assert "disk.prepare" not in node.moments.seen


async def test_a_node_that_rejoined_carries_the_mark(node: FakeMachine, known: FakeJoinService) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.SERVING)
        assert (boot.settings.run / "cluster-id").read_text().strip() == known.cluster_id.hex()
        assert any(boot.registers()[15])


async def test_a_node_comes_back_with_the_peers_of_its_ticket(node: FakeMachine, known: FakeJoinService) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.SERVING)
    assert [peer.name for peer in boot.mesh.peers] == ["control-9"]
    assert str(boot.mesh.address) == "10.213.1.1"
    assert boot.mesh.protected == "10.244.0.0/16"
    assert known.rejoins


async def test_the_disk_of_another_machine_is_refused(node: FakeMachine, known: FakeJoinService) -> None:
    known.holders.clear()
    async with node.booted() as boot:
        await boot.heard("belongs to another machine")
        assert boot.phases[-1] == Phase.LOCKED
        assert not any(boot.registers()[15])


@pytest.mark.parametrize("field", ["state_disk_key", "measurement_secret", "measurement_salt"])
async def test_keys_of_another_cluster_open_nothing(node: FakeMachine, known: FakeJoinService, field: str) -> None:
    known.change = lambda ticket: setattr(ticket, field, bytes(32))
    async with node.booted() as boot:
        await boot.heard("the key does not open" if field == "state_disk_key" else "those of another cluster")
        assert not any(boot.registers()[15])
        assert not (boot.settings.run / "cluster-id").exists()
        known.change = lambda _ticket: None
        await boot.reached(Phase.SERVING)


async def test_a_cluster_that_comes_back_later_is_found(node: FakeMachine, known: FakeJoinService) -> None:
    node.write_metadata(peers=[])
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        node.write_metadata(peers=PEERS)
        await boot.reached(Phase.SERVING)
    assert known.rejoins


async def test_an_administrator_recovers_a_control_plane(node: FakeMachine, master: MasterSecret) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        await recover(boot, master)
        await boot.reached(Phase.SERVING)
        await boot.until(lambda: not boot.listens(boot.recover_port), "closed port")
    assert boot.kubernetes.running
    assert any(entry["phase"] == "unlocking" for entry in boot.journal)


async def test_a_wrong_master_secret_opens_nothing(node: FakeMachine, master: MasterSecret) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        error = await refusal(boot, MasterSecret.random())
        assert error.status is Status.PERMISSION_DENIED
        assert boot.phases[-1] == Phase.LOCKED
        assert not any(boot.registers()[15])
        await recover(boot, master)
        await boot.reached(Phase.SERVING)


async def test_a_disk_that_is_open_is_not_open_to_others(node: FakeMachine, master: MasterSecret) -> None:
    """The server still answers for a moment, and the kubeconfig is not for whoever comes second."""
    right, wrong = (
        recover_pb2.RecoverRequest(key_material=KeyMaterial.of(secret).to_message())
        for secret in (master, MasterSecret.random())
    )
    node.moments.cut_at("disk.grow")
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        port = boot.recover_port
        async with boot.administrator(port) as one, boot.administrator(port) as other:
            first = asyncio.create_task(RecoverStub(one).Recover(right))
            await node.moments.dark.wait()
            second = asyncio.create_task(RecoverStub(other).Recover(wrong))
            node.moments.go_on()
            assert (await first).kubeconfig == KUBECONFIG
            with pytest.raises(GRPCError, match="this is not its key"):
                await second


@pytest.mark.parametrize("moment", ["disk.open", "disk.mount", "disk.grow"])
async def test_an_administrator_who_hangs_up_leaves_nothing_half_open(
    node: FakeMachine, master: MasterSecret, moment: str
) -> None:
    node.moments.cut_at(moment)
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        lost = asyncio.create_task(recover(boot, master))
        await node.moments.dark.wait()
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
        node.moments.go_on()
        await boot.reached(Phase.SERVING)


async def test_a_bug_while_unlocking_is_shown_and_the_node_waits_on(node: FakeMachine, master: MasterSecret) -> None:
    node.moments.break_at("disk.open", ZeroDivisionError("a bug"), times=1)
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        assert (await refusal(boot, master)).status is Status.UNKNOWN
        assert "ZeroDivisionError('a bug')" in boot.screen
        await recover(boot, master)
        await boot.reached(Phase.SERVING)


async def test_a_recovery_secret_is_demanded_where_there_is_one(node: FakeMachine, master: MasterSecret) -> None:
    node.write_metadata(recovery_secret_hash=bcrypt.hashpw(RECOVERY_SECRET, bcrypt.gensalt(4)).decode())
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        error = await refusal(boot, master, b"wrong")
        assert (error.status, error.message) == (Status.PERMISSION_DENIED, None)
        assert "disk.open" not in node.moments.seen
        await recover(boot, master, RECOVERY_SECRET)
        await boot.reached(Phase.SERVING)


async def test_key_material_that_is_none_is_refused(node: FakeMachine) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        async with boot.administrator(boot.recover_port) as channel:
            with pytest.raises(GRPCError) as error:
                await RecoverStub(channel).Recover(recover_pb2.RecoverRequest())
    assert error.value.status is Status.INVALID_ARGUMENT


async def test_who_tries_too_often_is_sent_away(node: FakeMachine) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        request = recover_pb2.RecoverRequest(key_material=KeyMaterial.of(MasterSecret.random()).to_message())
        async with boot.administrator(boot.recover_port) as channel:
            tries = [RecoverStub(channel).Recover(request) for _ in range(12)]
            errors = await asyncio.gather(*tries, return_exceptions=True)
    assert {error.status for error in errors if isinstance(error, GRPCError)} == {
        Status.PERMISSION_DENIED,
        Status.RESOURCE_EXHAUSTED,
    }


async def test_a_disk_that_answers_later_is_asked_again(node: FakeMachine, master: MasterSecret) -> None:
    node.moments.break_at("disk.open", TemporaryError("not yet"), times=2)
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        await recover(boot, master)
        await boot.reached(Phase.SERVING)


async def test_a_disk_that_does_not_grow_is_used_as_it_is(node: FakeMachine, master: MasterSecret) -> None:
    node.moments.break_at("disk.grow", PermanentError("no room"))
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        await recover(boot, master)
        await boot.reached(Phase.SERVING)
    assert "the disk does not grow: no room" in boot.said


async def test_a_disk_that_does_not_know_its_cluster_says_what_to_do(node: FakeMachine, master: MasterSecret) -> None:
    (node.folder / "disk" / "files" / "constellation" / "membership.json").unlink()
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        error = await refusal(boot, master)
        assert "does not say whose node this is" in str(error.message)
        assert "constellation nodes forget" in boot.screen


@pytest.mark.parametrize("moment", ["mesh.start", "mesh.set_peers", "kubernetes.start_kubelet"])
async def test_what_fails_after_the_mark_ends_in_another_boot(
    node: FakeMachine, master: MasterSecret, moment: str
) -> None:
    node.moments.break_at(moment, PermanentError("it is broken"))
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        await recover(boot, master)
        await boot.power.rebooted.wait()
    node.moments.mend()
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        await recover(boot, master)
        await boot.reached(Phase.SERVING)


async def test_a_mark_that_fails_ends_in_another_boot(node: FakeMachine, master: MasterSecret) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        (boot.settings.run / ".cluster-id.new").mkdir()
        error = await refusal(boot, master)
        await boot.power.rebooted.wait()
    assert "the mark" in str(error.message)


async def test_a_worker_waits_for_its_cluster_and_opens_no_port(node: FakeMachine) -> None:
    node.write_metadata(role="worker")
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        assert "port" not in boot.journal[-1]["detail"]


async def test_metadata_does_not_change_who_a_node_is(node: FakeMachine, master: MasterSecret) -> None:
    node.write_metadata(name="another")
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        await recover(boot, master)
        await boot.reached(Phase.SERVING)
        assert "control-0 (control-plane)" in boot.screen.rpartition("serving")[0].rpartition("node ")[2]
