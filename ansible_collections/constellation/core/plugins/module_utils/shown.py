# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a cluster as plain data, in the words of `constellation status -o json`. Nothing in it is secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from constellation_engine.cluster.status import ClusterStatus
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.observation import Observation


def status_record(status: ClusterStatus) -> dict[str, Any]:
    """Give what an API server says of its cluster."""
    return {
        "reachable": True,
        "nodes": [node.to_mapping() for node in status.nodes],
        "services": [service.to_mapping() for service in status.services],
        "join_config": status.join_config.to_mapping(),
        "pending": [request.to_mapping() for request in status.requests],
        "refusals": [refusal.to_mapping() for refusal in status.refusals],
    }


def silent_record() -> dict[str, Any]:
    """Give the same where nobody answers."""
    lists: dict[str, Any] = {name: [] for name in ("nodes", "services", "pending", "refusals")}
    return {"reachable": False, **lists, "join_config": None}


def workspace_record(workspace: Workspace, seen: Observation) -> dict[str, Any]:
    """Give what a workspace says of its cluster."""
    state = workspace.state
    return {
        "name": state.spec.name,
        "uid": state.uid,
        "image": str(state.spec.image),
        "cluster_id": state.cluster_id.hex(),
        "kubeconfig": str(workspace.kubeconfig),
        "log": str(workspace.log),
        "finished": list(state.finished),
        "machines": [machine.to_mapping() for machine in seen.machines],
    }
