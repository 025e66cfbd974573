# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts of a workspace: what its description says, what its machines are, and whom its API server knows as attested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from constellation_core.errors import CoreError
from constellation_engine.cluster.client import api_client
from constellation_engine.cluster.nodes import node_records
from constellation_engine.errors import EngineError
from constellation_engine.inventory.host import Host, Inventory
from constellation_engine.local_cluster.observation import observe_machines
from constellation_engine.local_cluster.way_to_api import keep_way_to_api

if TYPE_CHECKING:
    from constellation_engine.local_cluster.observation import ObservedMachine
    from constellation_engine.local_cluster.workspace import Workspace

PATIENCE: Final = 5.0  # seconds for the API server: a list of hosts shall not wait for long


def inventory_of_workspace(workspace: Workspace, *, ask: bool = True, patience: float = PATIENCE) -> Inventory:
    """List the hosts that the cluster shall have.

    Args:
        workspace: of the cluster.
        ask: whether the API server is asked who was attested. Nobody is taken for attested otherwise.
        patience: seconds that it may take.

    Returns:
        The hosts; a machine that was not made is one too. An API server that does not answer is a gap.

    Raises:
        MachineError: the description of a machine is damaged.
    """
    attested, gaps = _attested(workspace, patience) if ask and workspace.kubeconfig.exists() else (frozenset(), ())
    hosts = [_host(workspace, machine, attested) for machine in observe_machines(workspace).machines]
    return Inventory(tuple(hosts), gaps)


def _host(workspace: Workspace, machine: ObservedMachine, attested: frozenset[str]) -> Host:
    spec = workspace.state.spec
    return Host(
        name=machine.name,
        role=machine.role,
        cluster=spec.name,
        workspace=str(workspace.folder),
        image=spec.image.name,
        state=machine.state,
        address=machine.address,
        endpoints=machine.endpoints,
        attested=machine.name in attested,
    )


def _attested(workspace: Workspace, patience: float) -> tuple[frozenset[str], tuple[str, ...]]:
    try:
        keep_way_to_api(workspace)
        with api_client(workspace.kubeconfig, patience=patience) as client:
            return frozenset(record.identity.name for record in node_records(client)), ()
    except (CoreError, EngineError) as error:
        return frozenset(), (f"{workspace.folder}: nobody says who was attested: {error}",)
