# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Ask the API server how its cluster is.

A cluster that is being set up lacks some of what is asked for: that is an answer, and no error.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lightkube.resources.apps_v1 import DaemonSet, Deployment
from lightkube.resources.core_v1 import ConfigMap, Event, Node, Pod

from constellation_core.errors import ConfigError
from constellation_core.join_config import DATA_KEY, OBJECT_NAME, JoinConfig
from constellation_core.names import NAMESPACE
from constellation_core.roles import Role
from constellation_engine.cluster.api import asking
from constellation_engine.cluster.join_config import history
from constellation_engine.cluster.manifests.names import Service
from constellation_engine.cluster.nodes import node_records, pending
from constellation_engine.cluster.status import (
    ClusterStatus,
    JoinConfigStatus,
    NodeStatus,
    RefusalEvent,
    ServiceStatus,
)
from constellation_engine.errors import ObjectNotFoundError

if TYPE_CHECKING:
    from lightkube import Client
    from lightkube.models.core_v1 import NodeCondition

    from constellation_engine.cluster.nodes import JoinRequest

RECENT: Final = timedelta(hours=1)
JOIN_SERVICE: Final = "join-service"
"""Component that events of refusals are from."""

_CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"


def read_status(client: Client, now: datetime) -> ClusterStatus:
    """Ask.

    Args:
        client: of an administrator.
        now: aware UTC.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    identities = _identities(client)
    with asking("list nodes"):
        nodes = tuple(_node(node, identities) for node in sorted(client.list(Node), key=_name))
    known = {node.name for node in nodes}
    return ClusterStatus(
        nodes=nodes,
        strangers=tuple(name for name in identities if name not in known),
        services=_services(client),
        waiting_pods=_waiting_pods(client),
        join_config=_join_config(client),
        requests=_requests(client),
        refusals=_refusals(client, now - RECENT),
    )


def is_ready(node: Node) -> bool:
    """Whether a node is Ready."""
    return any(one.status == "True" for one in _said_of_readiness(node))


def is_running(pod: Pod) -> bool:
    """Whether a pod is ready, or has done what it was for."""
    if pod.status is None or pod.status.phase == "Succeeded":
        return pod.status is not None
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or ())


def _identities(client: Client) -> dict[str, str]:
    """Give who was attested: name → identity; nobody where the kind of object is not known yet."""
    try:
        return {record.identity.name: record.identity.identity for record in node_records(client)}
    except ObjectNotFoundError:
        return {}


def _node(node: Node, identities: dict[str, str]) -> NodeStatus:
    status, labels = node.status, (node.metadata.labels if node.metadata else None) or {}
    about = status.nodeInfo if status else None
    ready = is_ready(node)
    reasons = (one.message or one.reason or "not Ready" for one in _said_of_readiness(node))
    return NodeStatus(
        name=_name(node),
        role=(Role.CONTROL_PLANE if _CONTROL_PLANE in labels else Role.WORKER).value,
        ready=ready,
        reason="" if ready else next(reasons, "it never reported"),
        kubernetes=about.kubeletVersion if about else "",
        image=about.osImage if about else "",
        addresses=tuple(one.address for one in (status.addresses if status else None) or ()),
        identity=identities.get(_name(node), ""),
    )


def _said_of_readiness(node: Node) -> list[NodeCondition]:
    return [one for one in (node.status.conditions if node.status else None) or () if one.type == "Ready"]


def _services(client: Client) -> tuple[ServiceStatus, ...]:
    """Give our services, also those that nobody set up yet."""
    found = {service.value: ServiceStatus(service.value, 0, 0) for service in Service}
    with asking(f"list workloads in {NAMESPACE}"):
        for one in client.list(DaemonSet, namespace=NAMESPACE):
            status = one.status
            ready, wanted = (status.numberReady, status.desiredNumberScheduled) if status else (0, 0)
            found[_name(one)] = ServiceStatus(_name(one), ready, wanted)
        for other in client.list(Deployment, namespace=NAMESPACE):
            wanted = 1 if other.spec.replicas is None else other.spec.replicas
            ready = (other.status.readyReplicas if other.status else None) or 0
            found[_name(other)] = ServiceStatus(_name(other), ready, wanted)
    return tuple(found.values())


def _waiting_pods(client: Client) -> tuple[str, ...]:
    with asking("list pods"):
        waiting = [pod.metadata for pod in client.list(Pod, namespace="*") if not is_running(pod)]
    return tuple(sorted(f"{metadata.namespace}/{metadata.name}" for metadata in waiting if metadata))


def _join_config(client: Client) -> JoinConfigStatus:
    """Say who may join. Where the newest version is refused, the last one that was accepted holds."""
    try:
        with asking(f"read ConfigMap {OBJECT_NAME}"):
            found = client.get(ConfigMap, OBJECT_NAME, namespace=NAMESPACE)
    except ObjectNotFoundError:
        return JoinConfigStatus(problem="there is none: no machine can join")
    notes = (found.metadata.managedFields if found.metadata else None) or ()
    changed = max((note.time for note in notes if note.time is not None), default=None)
    text = (found.data or {}).get(DATA_KEY, "")
    try:
        return JoinConfigStatus(accepts=_accepts(JoinConfig.from_yaml(text)), changed_at=changed)
    except ConfigError as error:
        accepted = [one for one in history(client) if one.text != text][-1:]
        holds = f"revision {accepted[0].number} holds" if accepted else "no machine can join"
        accepts = _accepts(JoinConfig.from_yaml(accepted[0].text)) if accepted else ()
        return JoinConfigStatus(accepts=accepts, changed_at=changed, problem=f"{error}; {holds}")


def _accepts(config: JoinConfig) -> tuple[str, ...]:
    manifests = [image.verify(config.image_key) for image in config.images]
    images = [f"{manifest.image} ({manifest.variant})" for manifest in manifests]
    return (*images, *(f"a policy for {policy.variant}" for policy in config.explicit))


def _requests(client: Client) -> tuple[JoinRequest, ...]:
    try:
        return pending(client)
    except ObjectNotFoundError:
        return ()


def _refusals(client: Client, since: datetime) -> tuple[RefusalEvent, ...]:
    """Give what the join service warned of."""
    with asking(f"list events in {NAMESPACE}"):
        found = [_refusal(event) for event in client.list(Event, namespace=NAMESPACE, fields={"type": "Warning"})]
    recent = [one for one in found if one is not None and one.at >= since]
    return tuple(sorted(recent, key=lambda one: one.at, reverse=True))


def _refusal(event: Event) -> RefusalEvent | None:
    at = event.lastTimestamp or event.eventTime
    if event.source is None or event.source.component != JOIN_SERVICE or at is None:
        return None
    return RefusalEvent(at.astimezone(UTC), event.reason or "", event.message or "")


def _name(found: Any) -> str:  # noqa: ANN401 - lightkube has no common type of its classes
    return str((found.metadata and found.metadata.name) or "")
