# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One look at a cluster, and the record that programs get of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from constellation_cli.errors import CommandError
from constellation_cli.nodes.words import describe_request

if TYPE_CHECKING:
    from constellation_cli.chosen_cluster import ChosenCluster
    from constellation_engine.cluster.status import ClusterStatus, NamedCondition
    from constellation_engine.local_cluster import Workspace

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a cluster showed.

    Attributes:
        at: when, aware UTC.
        conditions: what should be so.
        cluster: what the API server says; None where it does not answer.
        workspace: of a local cluster.
    """

    at: datetime
    conditions: tuple[NamedCondition, ...]
    cluster: ClusterStatus | None
    workspace: Workspace | None

    @property
    def holds(self) -> bool:
        """Whether every condition holds."""
        return all(condition.holds for condition in self.conditions)

    @property
    def missing(self) -> str:
        """What is missing, in one line; empty where nothing is."""
        return "; ".join(f"{one.name}: {one.missing}" for one in self.conditions if not one.holds)

    @property
    def record(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "version": VERSION,
            "at": self.at.isoformat(timespec="seconds"),
            "ok": self.holds,
            "conditions": [condition.to_mapping() for condition in self.conditions],
            **_describe_cluster(self.cluster),
            "workspace": _describe_workspace(self.workspace) if self.workspace is not None else None,
        }


def look(cluster: ChosenCluster, timeout: int) -> Look:
    """Look once. An API server that does not answer is something that is missing, and no error.

    Args:
        cluster: at which.
        timeout: seconds that the API server has.
    """
    from constellation_cli.api_server import api_server
    from constellation_engine.cluster.status import NamedCondition
    from constellation_engine.cluster.status_reading import read_status
    from constellation_engine.errors import ClusterError
    from constellation_engine.local_cluster.status import conditions

    now = datetime.now(UTC)
    local = tuple(conditions(cluster.workspace)) if cluster.workspace is not None else ()
    try:
        with api_server(cluster.kubeconfig, timeout) as server, server.answering() as client:
            found = read_status(client, now)
    except (ClusterError, CommandError) as error:
        if cluster.workspace is None and not isinstance(error, ClusterError):
            raise  # without a kubeconfig there is no cluster to speak of
        silent = NamedCondition("the API server answers", _why(cluster, error))
        return Look(at=now, conditions=(*local, silent), cluster=None, workspace=cluster.workspace)
    return Look(at=now, conditions=(*local, *found.conditions()), cluster=found, workspace=cluster.workspace)


def _why(cluster: ChosenCluster, error: Exception) -> str:
    if cluster.workspace is not None and not cluster.workspace.kubeconfig.exists():
        return "the first node is not initialised yet"
    return str(error)


def _describe_cluster(found: ClusterStatus | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(("nodes", "services", "join_config", "pending", "refusals"))
    return {
        "nodes": [node.to_mapping() for node in found.nodes],
        "services": [service.to_mapping() for service in found.services],
        "join_config": found.join_config.to_mapping(),
        "pending": [describe_request(request) for request in found.requests],
        "refusals": [refusal.to_mapping() for refusal in found.refusals],
    }


def _describe_workspace(workspace: Workspace) -> dict[str, Any]:
    from constellation_engine.local_cluster.status import machine_states

    return {
        "folder": str(workspace.folder),
        "finished": list(workspace.state.finished),
        "machines": {status.name: status.state.value for status in machine_states(workspace)},
    }
