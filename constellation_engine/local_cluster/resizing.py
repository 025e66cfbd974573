# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Fewer workers: a machine that is not asked for any more leaves its cluster, and then this host.

1. Its power is cut: a kubelet that runs would go on as a node.
2. Its Node goes, so that pods are started elsewhere.
3. The cluster forgets it: identity, request, unused tokens, claims. Its name and address are free.
4. The machine goes last. Whoever was interrupted finds it again, and goes through all of this once more.

More workers need nothing of their own: `bring_up` makes the machines that are missing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lightkube.resources.core_v1 import Node

from constellation_engine.cluster.api import asking
from constellation_engine.cluster.nodes import forget
from constellation_engine.errors import ObjectNotFoundError
from constellation_engine.local_cluster.machines import surplus
from constellation_engine.local_cluster.objects import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightkube import Client

    from constellation_engine.local_cluster.workspace import Workspace


def remove_surplus(workspace: Workspace, *, report: Callable[[str], None]) -> None:
    """Remove the machines that are not asked for any more.

    Args:
        workspace: of the cluster, which may not be initialised yet.
        report: told what happens.

    Raises:
        ClusterError: the cluster cannot be told; the machine is switched off then, and stays.
        MachineError: a machine cannot be removed.
    """
    leaving = surplus(workspace)
    for machine in leaving:
        report(f"switching {machine.name} off")
        machine.stop()  # 1
    if leaving and workspace.state.cluster_id:
        with client_of(workspace) as client:
            for machine in leaving:
                report(f"{machine.name} leaves the cluster")
                _leave(client, machine.name)
    for machine in leaving:
        report(f"removing {machine.name}")
        machine.destroy()  # 4


def _leave(client: Client, name: str) -> None:
    with suppress(ObjectNotFoundError), asking(f"delete Node {name}"):
        client.delete(Node, name)  # 2
    with suppress(ObjectNotFoundError):
        forget(client, name)  # 3
