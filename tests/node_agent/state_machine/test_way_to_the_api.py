# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The way to the API is there before anybody takes it, in every boot; and only where the cluster has no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from constellation_core.keys.key_material import KeyMaterial
from constellation_core.networks import API_ENDPOINT
from constellation_core.roles import Role
from constellation_proto import init_pb2, recover_pb2
from constellation_proto.init_grpc import InitStub
from constellation_proto.recover_grpc import RecoverStub
from node_agent.phases import Phase

if TYPE_CHECKING:
    from constellation_core.keys.master_secret import MasterSecret
    from node_agent.testing.join_service import FakeJoinService
    from node_agent.testing.machine import FakeMachine

Requests = Callable[..., init_pb2.InitRequest]


async def initialise(machine: FakeMachine, request: init_pb2.InitRequest) -> bool | None:
    """Make a cluster; tell whose API server goes first."""
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        async with boot.administrator(boot.init_port) as channel:
            await InitStub(channel).Init(request)
        await boot.reached(Phase.SERVING)
        assert boot.mesh.watching
    return boot.mesh.serves_api


async def test_the_first_node_leads_to_itself(machine: FakeMachine, init_request: Requests) -> None:
    assert await initialise(machine, init_request(endpoint=API_ENDPOINT)) is True
    seen = machine.moments.seen
    assert seen.index("mesh.start done") < seen.index("mesh.lead_to_api") < seen.index("kubernetes.init")


async def test_an_endpoint_of_the_administrators_own_is_left_alone(
    machine: FakeMachine, init_request: Requests
) -> None:
    assert await initialise(machine, init_request(endpoint="api.example.org:6443")) is None
    assert "mesh.lead_to_api" not in machine.moments.seen


@pytest.mark.parametrize("role", Role)
async def test_who_joins_finds_the_api(machine: FakeMachine, cluster: FakeJoinService, role: Role) -> None:
    machine.write_metadata(name="node-3", role=role.value)
    cluster.change = lambda ticket: setattr(ticket, "api_endpoint", API_ENDPOINT)
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
    assert boot.mesh.serves_api is (role is Role.CONTROL_PLANE)
    assert [peer.role for peer in boot.mesh.peers] == [Role.CONTROL_PLANE]
    seen = machine.moments.seen
    assert seen.index("mesh.set_peers") < seen.index("mesh.lead_to_api") < seen.index("kubernetes.join")


@pytest.mark.parametrize("endpoint, serves", [(API_ENDPOINT, True), ("api.example.org:6443", None)])
async def test_a_later_boot_remembers_where_the_api_is(
    machine: FakeMachine, init_request: Requests, master: MasterSecret, endpoint: str, serves: bool | None
) -> None:
    await initialise(machine, init_request(endpoint=endpoint))
    machine.moments.seen.clear()
    async with machine.booted() as boot:
        await boot.reached(Phase.LOCKED)
        async with boot.administrator(boot.recover_port) as channel:
            material = KeyMaterial.of(master).to_message()
            await RecoverStub(channel).Recover(recover_pb2.RecoverRequest(key_material=material))
        await boot.reached(Phase.SERVING)
    assert boot.mesh.serves_api is serves
    seen = machine.moments.seen
    assert serves is None or seen.index("mesh.lead_to_api") < seen.index("kubernetes.start_kubelet")
