# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Take a node out of service before its machine boots, and give it back afterwards.

    hold(client, "worker-0")                            # no new pods
    wait_for([emptied(client, "worker-0")], timeout=300)
    …                                                   # the machine boots
    wait_for([booted_again(client, "worker-0")], timeout=600)
    release(client, "worker-0")

An annotation says that we hold the node, and in which boot it was then: whoever is interrupted knows what is left. A
node that a person took out of service before stays out of it. Pods are asked to leave by eviction, so that their
PodDisruptionBudget is obeyed (https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/). Those of
DaemonSets and static pods stay.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node, Pod

from constellation_core.conditions import Condition
from constellation_engine.cluster.api import asking
from constellation_engine.cluster.status_reading import is_ready
from constellation_engine.errors import ClusterError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightkube import Client

HELD: Final = "constellation.dev/held-in-boot"
"""Annotation: we hold the node, and it was in this boot; with a word more where a person had cordoned it before."""

_CORDONED: Final = " cordoned"
_MIRROR: Final = "kubernetes.io/config.mirror"
_OVER: Final = ("Succeeded", "Failed")


def hold(client: Client, name: str) -> bool:
    """Let no new pod onto a node. Again, nothing changes.

    Returns:
        Whether its pods can be asked to leave: those of a node that does not answer cannot.

    Raises:
        ObjectNotFoundError: there is no such node.
        ClusterError: the API server refuses, or does not answer.
    """
    node = _read(client, name)
    if not _held(node):
        by_people = node.spec is not None and bool(node.spec.unschedulable)
        _change(client, name, held=_boot(node) + (_CORDONED if by_people else ""), unschedulable=True)
    return is_ready(node)


def is_held(client: Client, name: str) -> bool:
    """Tell whether we hold a node; nobody holds one that is not there.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    try:
        return bool(_held(_read(client, name)))
    except ObjectNotFoundError:
        return False


def emptied(client: Client, name: str) -> Condition:
    """The pods of a node have left, which they are asked to as often as this is looked at."""

    def left() -> str | None:
        there = [f"{pod}{f' ({why})' if why else ''}" for pod, why in _evict(client, name)]
        return f"waiting for {', '.join(there)}" if there else None

    return Condition(f"{name} is empty", left, not_yet=(ClusterError,))


def booted_again(client: Client, name: str) -> Condition:
    """The node that we hold is Ready in another boot."""

    def missing() -> str | None:
        node = _read(client, name)
        before, _, _ = _held(node).partition(" ")
        return None if is_ready(node) and _boot(node) != before else f"waiting for {name}"

    return Condition(f"{name} is Ready in another boot", missing, not_yet=(ClusterError,))


def release(client: Client, name: str) -> None:
    """Give a node back that we hold; a person's cordon stays. Again, nothing changes.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    held = _held(_read(client, name))
    if held:
        _change(client, name, held=None, unschedulable=held.endswith(_CORDONED))


def _evict(client: Client, node: str) -> Iterator[tuple[str, str]]:
    """Ask all pods of a node to leave; give those that are still there, and why that is."""
    with asking("list pods"):
        pods = list(client.list(Pod, namespace="*", fields={"spec.nodeName": node}))
    for pod in filter(_leaves, pods):
        metadata = pod.metadata or ObjectMeta()
        name, namespace = metadata.name or "", metadata.namespace or ""
        why = "" if metadata.deletionTimestamp else _ask_to_leave(client, name, namespace)
        if why is not None:
            yield f"{namespace}/{name}", why


def _ask_to_leave(client: Client, name: str, namespace: str) -> str | None:
    """Evict a pod; give why it may not go now, empty if it may, None if it is gone."""
    try:
        client.create(Pod.Eviction(metadata=ObjectMeta(name=name, namespace=namespace)), name, namespace=namespace)
    except ApiError as error:
        if error.status.code == HTTPStatus.NOT_FOUND:
            return None
        if error.status.code == HTTPStatus.TOO_MANY_REQUESTS:
            return error.status.message or "its PodDisruptionBudget"
        with asking(f"evict {namespace}/{name}"):
            raise
    return ""


def _leaves(pod: Pod) -> bool:
    metadata = pod.metadata or ObjectMeta()
    owners = [owner.kind for owner in metadata.ownerReferences or ()]
    is_over = pod.status is not None and pod.status.phase in _OVER
    return not is_over and "DaemonSet" not in owners and _MIRROR not in (metadata.annotations or {})


def _read(client: Client, name: str) -> Node:
    with asking(f"read Node {name}"):
        return client.get(Node, name)


def _change(client: Client, name: str, *, held: str | None, unschedulable: bool) -> None:
    change = {"metadata": {"annotations": {HELD: held}}, "spec": {"unschedulable": unschedulable or None}}
    with asking(f"change Node {name}"):
        client.patch(Node, name, change)


def _held(node: Node) -> str:
    annotations: dict[str, str] = (node.metadata.annotations if node.metadata else None) or {}
    return annotations.get(HELD, "")


def _boot(node: Node) -> str:
    info = node.status.nodeInfo if node.status else None
    return info.bootID if info is not None else ""
