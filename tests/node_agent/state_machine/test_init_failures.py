# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Init that fails: before the mark nothing has happened; after it the node says why, forgets all keys, and reboots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError, Status

from constellation_proto import init_pb2
from constellation_proto.init_grpc import InitStub
from node_agent.errors import PermanentError, TemporaryError
from node_agent.parts import DiskKind
from node_agent.phases import Phase

if TYPE_CHECKING:
    from node_agent.testing.machine import Boot, FakeMachine

Requests = Callable[..., init_pb2.InitRequest]

AFTER_THE_MARK = ("mesh.start", "mesh.set_peers", "kubernetes.init", "disk.adopt")


async def init(boot: Boot, request: init_pb2.InitRequest) -> list[init_pb2.InitEvent]:
    await boot.reached(Phase.WAITING)
    async with boot.administrator(boot.init_port) as channel:
        return await InitStub(channel).Init(request)


@pytest.mark.parametrize("moment", AFTER_THE_MARK)
async def test_what_fails_after_the_mark_ends_in_another_boot(
    machine: FakeMachine, init_request: Requests, moment: str
) -> None:
    machine.moments.break_at(moment, PermanentError("it is broken", hint="mend it"))
    async with machine.booted() as boot:
        with pytest.raises(GRPCError, match=r"it is broken \(mend it\)") as error:
            await init(boot, init_request())
        await boot.power.rebooted.wait()
    assert error.value.status is Status.ABORTED
    assert boot.phases[-1] == Phase.REBOOTING
    assert "it is broken" in boot.screen
    assert boot.mesh.secret is None
    assert not boot.settings.state.exists()


@pytest.mark.parametrize("moment", AFTER_THE_MARK)
async def test_the_next_boot_waits_for_the_same_request(
    machine: FakeMachine, init_request: Requests, moment: str
) -> None:
    request = init_request()
    machine.moments.break_at(moment, PermanentError("it is broken"))
    async with machine.booted() as boot:
        with pytest.raises(GRPCError):
            await init(boot, request)
        await boot.power.rebooted.wait()
    before = boot.disk.header["uuid"]
    machine.moments.mend()
    async with machine.booted() as boot:
        await init(boot, request)
        await boot.reached(Phase.SERVING)
    assert boot.disk.header["uuid"] == before


@pytest.mark.parametrize("moment", AFTER_THE_MARK)
async def test_what_works_a_moment_later_is_tried_again(
    machine: FakeMachine, init_request: Requests, moment: str
) -> None:
    machine.moments.break_at(moment, TemporaryError("not yet"), times=3)
    async with machine.booted() as boot:
        await init(boot, init_request())
        await boot.reached(Phase.SERVING)
    assert boot.said.count("not yet") == 1


async def test_what_never_works_is_not_tried_for_ever(
    machine: FakeMachine, init_request: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_agent.machine.PATIENCE", 0.3)
    machine.moments.break_at("kubernetes.init", TemporaryError("not yet"))
    async with machine.booted() as boot:
        with pytest.raises(GRPCError, match="not yet"):
            await init(boot, init_request())
        await boot.power.rebooted.wait()


async def test_a_bug_ends_in_another_boot_too(machine: FakeMachine, init_request: Requests) -> None:
    machine.moments.break_at("kubernetes.init", ZeroDivisionError("a bug"))
    async with machine.booted() as boot:
        with pytest.raises(GRPCError, match="this node failed"):
            await init(boot, init_request())
        await boot.power.rebooted.wait()
    assert "ZeroDivisionError: a bug" in boot.screen


async def test_keys_are_forgotten_even_where_that_fails(machine: FakeMachine, init_request: Requests) -> None:
    for moment in ("kubernetes.init", "mesh.close", "disk.close"):
        machine.moments.break_at(moment, PermanentError(f"{moment} is broken"))
    async with machine.booted() as boot:
        with pytest.raises(GRPCError):
            await init(boot, init_request())
        await boot.power.rebooted.wait()
    assert machine.moments.seen[-3:] == ["mesh.close", "disk.close", "power.reboot"]


async def test_a_provider_outside_of_the_cluster_is_refused_before_the_mark(
    machine: FakeMachine, init_request: Requests
) -> None:
    request = init_request()
    request.key_material.Clear()
    request.key_material.uri, request.key_material.salt = "awskms://eu-central-1/alias/constellation", bytes(32)
    async with machine.booted() as boot:
        with pytest.raises(GRPCError, match="needs a place for wrapped keys") as error:
            await init(boot, request)
        await boot.reached(Phase.WAITING)
        assert not any(boot.registers()[15])
    assert error.value.status is Status.INVALID_ARGUMENT


@pytest.mark.parametrize("address", ["10.96.3.11", "10.244.3.4", "10.213.0.9"])
async def test_a_machine_whose_address_is_inside_the_cluster_is_refused_before_the_mark(
    machine: FakeMachine, init_request: Requests, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Its packets would be taken for forged ones, and nobody would know why no node joins."""
    monkeypatch.setattr("node_agent.machine.own_addresses", lambda: {"eth0": "192.0.2.7", "eth1": address})
    async with machine.booted() as boot:
        with pytest.raises(GRPCError, match=f"has the address {address}, inside the cluster's own network"):
            await init(boot, init_request())
        await boot.reached(Phase.WAITING)
        assert not any(boot.registers()[15])


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_clock_that_is_off_is_refused_before_the_mark(
    machine: FakeMachine, init_request: Requests, days: int
) -> None:
    request = init_request()
    request.now.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    async with machine.booted() as boot:
        with pytest.raises(GRPCError, match=r"the clock of this machine says .* that of the administrator"):
            await init(boot, request)
        await boot.reached(Phase.WAITING)
        assert not any(boot.registers()[15])


@pytest.mark.parametrize("moment", ["disk.prepare", "disk.mount"])
async def test_a_disk_that_cannot_be_used_is_said_at_once(machine: FakeMachine, moment: str) -> None:
    machine.moments.break_at(moment, PermanentError("the disk is too small", hint="attach a larger one"))
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
    assert "the disk is too small" in boot.screen
    assert "attach a larger one" in boot.screen


async def test_a_foreign_disk_is_left_alone(machine: FakeMachine) -> None:
    async with machine.booted() as boot:
        await boot.heard("is ready")
    boot.disk.claim(DiskKind.FOREIGN)
    async with machine.booted() as boot:
        await boot.reached(Phase.FAILED)
    assert "the state disk is not ours: it has a file system" in boot.screen
    assert "attach an empty disk" in boot.screen
    assert boot.disk.header["kind"] == "foreign"


async def test_a_boot_that_is_marked_already_is_not_initialised(machine: FakeMachine) -> None:
    """An agent that comes back in the boot of another has no keys: they were in its memory."""
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        async with machine.again(boot, mark=b"a cluster") as later:
            await later.power.rebooted.wait()
    assert "its keys went with the agent that had them" in later.screen
    assert later.init_ports == []
