# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is there of a cluster: what its workspace says, and what its API server answers."""

# ruff: noqa: PLC0415 - the engine is loaded by whoever needs it

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terraform_provider_constellation.errors import is_told, telling
from terraform_provider_constellation.plugin.api import ProviderError
from terraform_provider_constellation.resources.cluster import Cluster, ClusterNode, NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from lightkube import Client

    from constellation_engine.cluster.status import ClusterStatus, NodeStatus
    from constellation_engine.local_cluster import Workspace

PATIENCE: Final = 15.0  # seconds for each answer of the API server: a plan shall not wait for long


def open_workspace(known: Cluster) -> Workspace:
    """Open the workspace, unless it is of other machines.

    Raises:
        ProviderError: there is none, or it is of others.
    """
    from constellation_engine.local_cluster import Workspace

    with telling("There are no machines for the cluster", at="workspace"):
        workspace = Workspace.open(Path(known.workspace))
    if known.uid not in (None, workspace.state.uid):
        detail = f"Expected machines {known.uid}, {known.workspace} has {workspace.state.uid}."
        raise ProviderError("The workspace is of other machines", detail, at="uid")
    return workspace


def look(known: Cluster) -> Cluster | None:
    """Look at a cluster; None if its workspace is gone, or made anew, and the cluster with it."""
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.workspace import STATE_FILE
    from terraform_provider_constellation.resources import cluster_elsewhere

    if cluster_elsewhere.is_elsewhere(known.workspace):
        return cluster_elsewhere.described(known)
    if not (Path(known.workspace) / STATE_FILE).exists():
        return None
    workspace = Workspace.open(Path(known.workspace))
    if known.cluster_id is not None and workspace.state.cluster_id.hex() != known.cluster_id:
        return None
    return described(known, workspace)


def described(known: Cluster, workspace: Workspace) -> Cluster:
    """Write down what is there. Whatever does not answer is a problem, and no error."""
    _describe_workspace(known, workspace)
    known.nodes, known.reachable, known.attested = [], False, False
    known.problems = list(_unfinished(workspace))
    if workspace.state.cluster_id:
        try:
            _ask(known, workspace)
        except Exception as error:
            if not is_told(error):
                raise
            known.problems.append(f"the cluster cannot be asked: {error}")
    known.ready = not known.problems
    return known


def _describe_workspace(known: Cluster, workspace: Workspace) -> None:
    from constellation_core.networks import API_ENDPOINT
    from constellation_engine.local_cluster.machines import places
    from constellation_engine.node_image.image_folder import ImageFolder

    state = workspace.state
    known.name, known.uid = state.spec.name, state.uid
    known.machines = [place.name for place in places(workspace)]
    if known.kubernetes_version is None:
        known.kubernetes_version = f"v{ImageFolder.open(state.spec.image).read_build().kubernetes}"
    known.cluster_id = state.cluster_id.hex() or None
    known.in_cluster_endpoint = API_ENDPOINT
    _describe_settings(known, workspace)
    if workspace.kubeconfig.exists():
        _describe_way_in(known, workspace)


def _describe_settings(known: Cluster, workspace: Workspace) -> None:
    """Say what the cluster was asked for, as far as the user does not say the same in other words."""
    from constellation_engine.local_cluster.settings import ClusterSettings, read_settings

    settings, usual = read_settings(workspace), ClusterSettings()
    if list(settings.certificate_sans) != (known.api_server_cert_sans or []):
        known.api_server_cert_sans = list(settings.certificate_sans)
    networks = (settings.service_network, settings.pod_network)
    if known.network_config is None and networks != (usual.service_network, usual.pod_network):
        known.network_config = NetworkConfig(ip_cidr_service=str(networks[0]), ip_cidr_pod=str(networks[1]))


def _describe_way_in(known: Cluster, workspace: Workspace) -> None:
    from constellation_engine.cluster.credentials import read_credentials
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api

    keep_way_to_api(workspace)
    found = read_credentials(workspace.kubeconfig)
    known.kubeconfig_path = str(workspace.kubeconfig)
    known.host, known.cluster_ca_certificate = found.host, found.authority
    known.out_of_cluster_endpoint = found.host.removeprefix("https://")


def _unfinished(workspace: Workspace) -> Iterator[str]:
    from constellation_engine.local_cluster.phase import OF_CLUSTER

    left = [phase.value for phase in OF_CLUSTER if phase not in workspace.state.finished]
    if left:
        yield f"not done yet: {', '.join(left)}"


def client_of(kubeconfig: Path) -> AbstractContextManager[Client]:
    """Open a client of the API server that does not wait for long."""
    from constellation_engine.cluster.client import api_client

    return api_client(kubeconfig, patience=PATIENCE)


def _ask(known: Cluster, workspace: Workspace) -> None:
    from constellation_engine.cluster.join_config import stored
    from constellation_engine.cluster.status_reading import read_status
    from constellation_engine.local_cluster.observation import other_cluster

    with client_of(workspace.kubeconfig) as client:
        if other := other_cluster(client, workspace):
            known.problems.append(other)
            return
        known.reachable = True
        status = read_status(client, datetime.now(UTC))
        known.join_config = stored(client).text
    _describe_nodes(known, workspace, status)


def node_of(node: NodeStatus) -> ClusterNode:
    """Write down a node."""
    return ClusterNode(
        name=node.name,
        role=node.role,
        ready=node.ready,
        attested=bool(node.identity),
        reason=node.reason or None,
        kubernetes_version=node.kubernetes,
    )


def _describe_nodes(known: Cluster, workspace: Workspace, status: ClusterStatus) -> None:
    from constellation_engine.local_cluster.machines import places
    from constellation_engine.local_cluster.observation import problems_of

    known.nodes = [node_of(node) for node in status.nodes]
    known.attested = bool(known.nodes) and all(node.attested for node in known.nodes)
    known.problems += problems_of(status, [place.name for place in places(workspace)])
