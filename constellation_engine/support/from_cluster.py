# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a cluster has to say: nodes, pods, events, our objects, and the logs of what keeps it running.

Secrets of Kubernetes are never asked for. Of pods that are the user's own, what they are told (arguments, environment,
annotations) stays where it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lightkube.resources.apps_v1 import DaemonSet, Deployment
from lightkube.resources.core_v1 import ConfigMap, Event, Node, Pod

from constellation_core.cluster_objects import JoinRequestObject, NodeIdentityObject
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.api import asking
from constellation_engine.cluster.manifests.names import SYSTEM_NAMESPACE
from constellation_engine.support.bundle import LONGEST_PART, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lightkube import Client

LOG_LINES: Final = 2000  # of each container

_OURS: Final = (NAMESPACE, SYSTEM_NAMESPACE)
_CONFIG_MAPS: Final = ("join-config", "join-config-history", "cluster")


def read_pods(client: Client) -> tuple[Pod, ...]:
    """Give the pods whose logs are collected: our services, and Kubernetes' own.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    found: list[Pod] = []
    for namespace in _OURS:
        with asking(f"list pods in {namespace}"):
            found += client.list(Pod, namespace=namespace)
    return tuple(found)


def cluster_parts(client: Client, pods: Sequence[Pod]) -> Iterator[Part]:
    """Give everything of a cluster that helps and is no secret.

    Args:
        client: of an administrator.
        pods: whose logs to collect.
    """
    yield _listed(client, "nodes", Node)
    yield Part("kubernetes/pods.json", lambda: _pods(client))
    yield _listed(client, "events", Event, "*")
    for namespace in _OURS:
        yield _listed(client, f"{namespace}/daemonsets", DaemonSet, namespace)
        yield _listed(client, f"{namespace}/deployments", Deployment, namespace)
    yield _listed(client, "nodeidentities", NodeIdentityObject)
    yield _listed(client, "joinrequests", JoinRequestObject)
    for name in _CONFIG_MAPS:
        yield Part(f"kubernetes/{NAMESPACE}/{name}.json", lambda name=name: _config_map(client, name))  # type: ignore[misc]
    for pod in pods:
        yield from _logs(client, pod)


def _listed(client: Client, name: str, kind: Any, namespace: str | None = None) -> Part:  # noqa: ANN401 - no common type
    """Give all objects of a kind."""

    def read() -> str:
        with asking(f"list {name}"):
            found = client.list(kind, namespace=namespace) if namespace else client.list(kind)
            return _json(found)

    return Part(f"kubernetes/{name}.json", read)


def _pods(client: Client) -> str:
    with asking("list pods"):
        pods = [_without_notes(pod) for pod in client.list(Pod, namespace="*")]
    shown = [pod if pod["metadata"].get("namespace") in _OURS else _outline(pod) for pod in pods]
    return json.dumps(shown, indent=2, default=str) + "\n"


def _config_map(client: Client, name: str) -> str:
    with asking(f"read ConfigMap {name}"):
        return _json([client.get(ConfigMap, name, namespace=NAMESPACE)])


def _logs(client: Client, pod: Pod) -> Iterator[Part]:
    metadata = pod.metadata
    name = str(metadata.name) if metadata else ""
    namespace = str(metadata.namespace) if metadata else ""
    for container in (pod.spec.containers if pod.spec else None) or ():
        path = f"logs/{namespace}/{name}/{container.name}.log"
        yield Part(path, lambda container=container: _log(client, namespace, name, container.name))  # type: ignore[misc]


def _log(client: Client, namespace: str, name: str, container: str) -> str:
    """Read the end of a log; whoever writes endless lines does not fill our memory."""
    lines, size = [], 0
    with asking(f"read the log of {namespace}/{name} {container}"):
        for line in client.log(name, namespace=namespace, container=container, tail_lines=LOG_LINES, timestamps=True):
            lines.append(line)
            size += len(line)
            if size > LONGEST_PART:
                break
    return "".join(lines)


def _outline(pod: dict[str, Any]) -> dict[str, Any]:
    """Give what a pod of the user's is, and not what it was told."""
    metadata, spec = pod["metadata"], pod.get("spec", {})
    return {
        "metadata": {
            name: metadata.get(name) for name in ("name", "namespace", "ownerReferences", "creationTimestamp")
        },
        "spec": {
            "nodeName": spec.get("nodeName"),
            "containers": [{name: one.get(name) for name in ("name", "image")} for one in spec.get("containers", ())],
        },
        "status": pod.get("status"),
    }


def _json(objects: Iterable[Any]) -> str:
    return json.dumps([_without_notes(one) for one in objects], indent=2, default=str) + "\n"


def _without_notes(found: Any) -> dict[str, Any]:  # noqa: ANN401 - lightkube has no common type of its classes
    """Give plain data, without who wrote which field when, and without a copy of what somebody applied."""
    record: dict[str, Any] = found.to_dict()
    metadata = record.get("metadata") or {}
    metadata.pop("managedFields", None)
    (metadata.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return record
