# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A smaller agent follows the one that made a machine a node: it goes on as that node, or the machine boots again."""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from constellation_core.keys.secret import Secret
from constellation_proto import init_pb2
from constellation_proto.init_grpc import InitStub
from node_agent.errors import PermanentError
from node_agent.parts import Peer
from node_agent.phases import Phase
from node_agent.succession import hand_over

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from node_agent.testing.machine import Boot, FakeMachine

Requests = Callable[..., init_pb2.InitRequest]

PEER = Peer(name="worker-9", public_key=bytes(32), mesh_address=IPv4Address("10.213.7.7"))


@pytest.fixture
async def settled(machine: FakeMachine, init_request: Requests) -> AsyncIterator[Boot]:
    """A control plane that was initialised, and has served for a while; it knows another node."""
    machine.settings |= {"linger": 0.1, "settling": 0.3}
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        async with boot.administrator(boot.init_port) as channel:
            await InitStub(channel).Init(init_request())
        await boot.until(lambda: boot.mesh.learnt, "following")
        assert boot.mesh.learnt is not None
        boot.mesh.learnt([PEER])
        yield boot


async def test_the_agent_of_a_settled_node_ends_and_leaves_its_secret(settled: Boot) -> None:
    secret = await settled.living
    assert secret == settled.mesh.secret
    assert settled.phases[-1] == Phase.SERVING
    assert not settled.listens(settled.init_ports[0])
    assert settled.mesh.address is not None  # it is in the kernel


async def test_the_next_one_goes_on_as_the_same_node(machine: FakeMachine, settled: Boot) -> None:
    secret = await settled.living
    assert secret is not None
    phases = settled.phases
    async with machine.succeeded(settled, inherited=hand_over(secret)) as later:
        await later.heard("a smaller agent serves")
        assert later.phases == phases
        assert (later.mesh.address, later.mesh.secret) == (settled.mesh.address, settled.mesh.secret)
        assert later.mesh.public_key == settled.mesh.public_key
        assert later.mesh.peers == (PEER,)
        assert later.mesh.protected == settled.mesh.protected
        assert later.mesh.watching
        await later.until(lambda: later.mesh.learnt, "following")
        assert later.init_ports == settled.init_ports  # of the agent before it


async def test_the_next_one_asks_the_platform_nothing(machine: FakeMachine, settled: Boot) -> None:
    """The host would like to say anew who this machine is (attack)."""
    secret = await settled.living
    assert secret is not None
    machine.write_metadata(name="another", role="worker")
    (machine.esp / "constellation" / "measurements.json").unlink()
    async with machine.succeeded(settled, inherited=hand_over(secret)) as later:
        await later.heard("a smaller agent serves")
        assert later.mesh.peers == (PEER,)


async def test_the_secret_of_another_cluster_is_refused(machine: FakeMachine, settled: Boot) -> None:
    await settled.living
    async with machine.succeeded(settled, inherited=hand_over(Secret(bytes(32)))) as later:
        with pytest.raises(PermanentError, match="belongs to another cluster than the disk"):
            await later.living  # the service manager boots again when the agent fails


async def test_nothing_where_a_secret_should_be_is_refused(machine: FakeMachine, settled: Boot) -> None:
    await settled.living
    reading, writing = os.pipe()
    os.close(writing)
    async with machine.succeeded(settled, inherited=reading) as later:
        with pytest.raises(PermanentError, match="left nothing"):
            await later.living


async def test_a_mesh_that_does_not_come_up_ends_in_another_boot(machine: FakeMachine, settled: Boot) -> None:
    secret = await settled.living
    assert secret is not None
    machine.moments.break_at("mesh.start", PermanentError("the kernel has no WireGuard"))
    async with machine.succeeded(settled, inherited=hand_over(secret)) as later:
        await later.power.rebooted.wait()
    assert later.phases[-1] == Phase.REBOOTING
    assert later.mesh.secret is None
