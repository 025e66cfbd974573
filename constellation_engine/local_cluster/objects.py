# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the API server of a local cluster is told, and what is waited for."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import httpx2
from lightkube import ApiError, AsyncClient, Client, KubeConfig
from lightkube.resources.apps_v1 import DaemonSet
from lightkube.resources.core_v1 import Namespace, Node, Pod

from attestation.variant import Variant
from constellation_core.component_list import ComponentList
from constellation_core.conditions import Condition
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.api import asking
from constellation_engine.cluster.client import FIELD_MANAGER
from constellation_engine.cluster.join_config import put, says_the_same, stored
from constellation_engine.cluster.manifests import manifests
from constellation_engine.cluster.manifests.names import SYSTEM_NAMESPACE, Service
from constellation_engine.cluster.programs import use_programs
from constellation_engine.cluster.status_reading import is_ready, is_running
from constellation_engine.errors import BringUpError
from constellation_engine.local_cluster.settings import join_config
from constellation_engine.local_cluster.way_to_api import keep_way_to_api
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.packages import PackageManifest
from constellation_engine.services_image.build import NAME as SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from constellation_engine.cluster.manifests.manifest import Manifest
    from constellation_engine.local_cluster.workspace import Workspace
    from constellation_engine.node_image.image_folder import ImageFolder

NOT_YET: Final = (ApiError, httpx2.HTTPError, OSError)
_PATIENCE: Final = httpx2.Timeout(60)
_WRITERS: Final = 4  # at a time; an API server that just came up has other things to do as well


def client_of(workspace: Workspace) -> Client:
    """Give a client of the cluster's API, through a control plane that answers, if one does."""
    return Client(**_how(workspace))


def _how(workspace: Workspace) -> dict[str, Any]:
    keep_way_to_api(workspace)
    config = KubeConfig.from_file(str(workspace.kubeconfig))
    return {"config": config, "field_manager": FIELD_MANAGER, "timeout": _PATIENCE, "trust_env": False}


def answers(client: Client) -> bool:
    """Tell whether the API server serves."""
    try:
        client.get(Namespace, "kube-system")
    except NOT_YET:
        return False
    return True


def services_reference(image: ImageFolder) -> str:
    """Give the name by which pods pin the image of the services that the node image brings.

    Raises:
        BringUpError: it brings none.
    """
    packages = PackageManifest.from_document(image.read(ImageFile.PACKAGES))
    for one in packages.containers:
        if one.name == SERVICES:
            return f"{one.name}@{one.digest}"
    raise BringUpError(f"{image.path}: expected the image of the services among its container images, got none")


def services(workspace: Workspace) -> tuple[list[Manifest], list[Manifest]]:
    """Give the objects of the services: all that joining needs, and then the pods that can wait for it.

    Pods that start side by side start slowly, and machines wait for two of the four.

    Raises:
        BringUpError: the node image brings no services.
    """
    wanted = manifests(image=services_reference(workspace.image()), variant=Variant.QEMU_VTPM)
    return [item for item in wanted if not _can_wait(item)], [item for item in wanted if _can_wait(item)]


async def apply(workspace: Workspace, wanted: Sequence[Manifest], report: Callable[[str], None]) -> None:
    """Write objects; those that are there are brought up to date.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    writers = asyncio.Semaphore(_WRITERS)
    how = await asyncio.to_thread(_how, workspace)  # it looks for a way, in a loop of its own
    async with AsyncClient(**how) as client:

        async def write(item: Manifest) -> None:
            async with writers:
                with asking(f"write {item.kind} {_name(item)}"):
                    await client.apply(item, force=True)

        for _, items in groupby(wanted, _stage):
            await asyncio.gather(*map(write, items))
    report(f"{len(wanted)} objects written")


def put_join_config(workspace: Workspace, report: Callable[[str], None]) -> None:
    """Let the cluster's join-config say what the workspace says.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    wanted = join_config(workspace).to_yaml()
    with client_of(workspace) as client:
        if not says_the_same(stored(client).text, wanted):
            report("join-config: the cluster has another one")
            put(client, wanted)


def put_programs(workspace: Workspace) -> None:
    """Let the cluster's facts name the programs that its image brings: nodes that join must have them.

    Raises:
        ClusterError: the API server refuses, or does not answer.
        ConfigError: what the cluster says of itself cannot be read.
    """
    programs = ComponentList(workspace.image().read_manifest().components)
    with client_of(workspace) as client:
        use_programs(client, programs)


def _can_wait(item: Manifest) -> bool:
    return item.kind == "DaemonSet" and not Service(_name(item)).is_for_joining


def _name(item: Manifest) -> str:
    return (item.metadata.name if item.metadata else None) or ""


def _stage(item: Manifest) -> int:
    """Give the order of what may not be written at the same time: pods find all that they need, and what forbids."""
    return {"Namespace": 0, "DaemonSet": 2}.get(str(item.kind), 1)


def services_ready(client: Client) -> Condition:
    """The services run wherever they should."""

    def missing() -> str | None:
        waiting = []
        for one in client.list(DaemonSet, namespace=NAMESPACE):
            status = one.status
            wanted, ready = (status.desiredNumberScheduled, status.numberReady) if status else (0, 0)
            if not wanted or ready < wanted:
                waiting.append(f"{one.metadata.name if one.metadata else ''} {ready}/{wanted}")
        return f"waiting for services: {', '.join(waiting)}" if waiting else None

    return Condition("the services run", missing, not_yet=NOT_YET)


def nodes_ready(client: Client, names: Sequence[str]) -> Condition:
    """All machines are nodes, and Ready."""

    def missing() -> str | None:
        ready = {node.metadata.name for node in client.list(Node) if node.metadata and is_ready(node)}
        waiting = [name for name in names if name not in ready]
        return f"waiting for nodes: {', '.join(waiting)}" if waiting else None

    return Condition("all nodes are Ready", missing, not_yet=NOT_YET)


def pods_running(client: Client, node: str = "") -> Condition:
    """All pods of the cluster itself run, and are ready; those of its users may do what they want.

    Args:
        client: of an administrator.
        node: only those on this one.
    """

    def missing() -> str | None:
        waiting = [
            f"{namespace}/{pod.metadata.name}"
            for namespace in (SYSTEM_NAMESPACE, NAMESPACE)
            for pod in client.list(Pod, namespace=namespace, fields={"spec.nodeName": node} if node else None)
            if pod.metadata and not is_running(pod)
        ]
        return f"waiting for pods: {', '.join(waiting)}" if waiting else None

    return Condition(f"all pods on {node} run" if node else "all pods run", missing, not_yet=NOT_YET)
