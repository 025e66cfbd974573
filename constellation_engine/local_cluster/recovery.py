# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bring back a local cluster whose control planes were all switched off: what they are given is in its workspace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from constellation_core.keys.key_material import KeyMaterial
from constellation_core.roles import Role
from constellation_engine.cluster.cluster_verdict import Endpoint
from constellation_engine.cluster.recovery import RecoveryOrder, recover_nodes
from constellation_engine.errors import RecoveryError, WorkspaceError
from constellation_engine.local_cluster.first_node import reachable_from_here
from constellation_engine.local_cluster.machines import LOOPBACK, accepted_policies, places
from constellation_engine.machines import Machine, MachineState
from constellation_engine.machines.reachability import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attestation.policy import Policy
    from constellation_core.keys.master_secret import MasterSecret
    from constellation_core.keys.secret import Secret
    from constellation_engine.cluster.recovery_outcome import Recovery
    from constellation_engine.local_cluster.workspace import Workspace

_PAUSE: Final = 1.0  # seconds between two looks


def stopped_control_planes(workspace: Workspace) -> tuple[Endpoint, ...]:
    """Say where the control planes listen that are switched on and may wait for recovery.

    Raises:
        WorkspaceError: none is switched on.
        MachineError: one is not there.
    """
    machines = [_machine(workspace, place.name) for place in places(workspace) if place.role is Role.CONTROL_PLANE]
    running = [machine for machine in machines if machine.status().state is MachineState.RUNNING]
    if not running:
        raise WorkspaceError(
            f"{workspace.folder}: expected a control plane that runs, all {len(machines)} are switched off",
            hint="constellation mini up switches them on; then recover",
        )
    return tuple(Endpoint(LOOPBACK, machine.spec.host_port("recover"), machine.name) for machine in running)


async def waiting_control_planes(workspace: Workspace) -> tuple[Endpoint, ...]:
    """Give those control planes that wait for recovery now.

    Raises:
        WorkspaceError: none is switched on.
        MachineError: one is not there.
    """
    stopped = stopped_control_planes(workspace)
    open_ports = await listening([endpoint.port for endpoint in stopped])
    return tuple(endpoint for endpoint in stopped if endpoint.port in open_ports)


async def who_waits(workspace: Workspace, *, seconds: float) -> tuple[Endpoint, ...]:
    """Wait until the cluster's API server answers, or its control planes wait for recovery.

    Args:
        workspace: of the cluster.
        seconds: that it may take; a machine that was just switched on boots first.

    Returns:
        Control planes that run, if one of them waits; none if there is nothing to recover.

    Raises:
        WorkspaceError: none is switched on.
        RecoveryError: neither happened in time.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                if await waiting_control_planes(workspace):
                    return stopped_control_planes(workspace)
                if await asyncio.to_thread(_api_server_answers, workspace):
                    return ()
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise RecoveryError(
            f"{workspace.folder}: neither does the API server answer, nor does a control plane wait for recovery",
            hint="the consoles of the machines say what they wait for",
        ) from None


def _api_server_answers(workspace: Workspace) -> bool:
    from constellation_engine.local_cluster import objects  # noqa: PLC0415 - it loads much

    if not workspace.kubeconfig.exists():
        return False
    with objects.client_of(workspace) as client:
        return objects.answers(client)


async def recover(
    workspace: Workspace, endpoints: Sequence[Endpoint], *, report: Callable[[str], None], seconds: float
) -> None:
    """Give control planes what the workspace has for them.

    Args:
        workspace: of the cluster.
        endpoints: who waits.
        report: told of progress.
        seconds: that all of it may take.

    Raises:
        RecoveryError: one that was asked did not come back.
        SecretFileError: the master secret is missing, damaged, or others can use it.
    """
    order = order_of(workspace, accepted_policies(workspace))
    recovery = await recover_nodes(
        endpoints, order, timeout=seconds, progress=lambda endpoint, words: report(f"{endpoint}: {words}")
    )
    keep(workspace, recovery.require(), order.cluster_id or b"")


def quorum(workspace: Workspace) -> int:
    """Give how many control planes etcd needs; those that are left then rejoin by themselves."""
    return workspace.state.spec.control_planes // 2 + 1


def order_of(
    workspace: Workspace,
    policies: Sequence[Policy],
    *,
    master: MasterSecret | None = None,
    recovery_secret: Secret | None = None,
) -> RecoveryOrder:
    """Write down what nodes are judged by, and what they get.

    Args:
        workspace: of the cluster.
        policies: what is acceptable.
        master: the master secret; None for the one in the workspace.
        recovery_secret: for nodes that demand one.

    Raises:
        SecretFileError: the master secret is missing, damaged, or others can use it.
    """
    chosen = master or workspace.master_secret()
    return RecoveryOrder(
        policies=policies,
        key_material=KeyMaterial.of(chosen),
        recovery_secret=recovery_secret,
        cluster_id=workspace.state.cluster_id or chosen.cluster_id(workspace.state.measurement_salt),
    )


def keep(workspace: Workspace, recovery: Recovery, cluster: bytes) -> bool:
    """Keep the kubeconfig that a node answered with.

    Args:
        workspace: of the cluster.
        recovery: what became of its nodes.
        cluster: cluster ID, 32 bytes.

    Returns:
        Whether there was one.

    Raises:
        BringUpError: it is none.
    """
    if not recovery.kubeconfig:
        return False
    first = _machine(workspace, places(workspace)[0].name)
    kubeconfig = reachable_from_here(recovery.kubeconfig, first.spec.host_port("api-server"))
    workspace.initialised(cluster, kubeconfig)
    return True


def _machine(workspace: Workspace, name: str) -> Machine:
    return Machine(workspace.machines / name)
