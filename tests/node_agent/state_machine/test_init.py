# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Init: from a new machine to the first node of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_proto.init_grpc import InitStub
from node_agent.phases import Phase
from node_agent.testing.parts import KUBECONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_proto import init_pb2
    from node_agent.testing.machine import FakeMachine


async def test_a_new_control_plane_becomes_a_cluster(
    machine: FakeMachine, init_request: Callable[..., init_pb2.InitRequest]
) -> None:
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        async with boot.administrator(boot.init_port) as channel:
            events = await InitStub(channel).Init(init_request())
        await boot.reached(Phase.SERVING)
        assert events[-1].done.kubeconfig == KUBECONFIG
        assert (boot.settings.run / "cluster-id").read_text().strip() == events[-1].done.cluster_id.hex()
