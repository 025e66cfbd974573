# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's nodes from its administrator's side: who waits for a decision, who is who, and whom to forget.

A decision is about a machine, not about a name: it is written only if the request is still the one that was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Secret
from lightkube.types import PatchType

from constellation_core.cluster_objects import NODE_LABEL, JoinRequestObject, NodeIdentity, NodeIdentityObject
from constellation_core.names import NAMESPACE
from constellation_core.roles import Role
from constellation_engine.cluster.api import asking
from constellation_engine.cluster.manifests.names import SYSTEM_NAMESPACE
from constellation_engine.errors import ConflictError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightkube import Client
    from lightkube.core.client import LabelSelector


class Decision(StrEnum):
    """What a person says to a machine that wants to join."""

    NONE = ""
    APPROVED = "Approved"
    DENIED = "Denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """A machine that proved itself and waits for a person.

    Attributes:
        name: of the node that it wants to be.
        role: what it wants to be in the cluster.
        variant: platform that attested it.
        identity: what identifies its devices, SHA-256 in hexadecimal.
        disk: LUKS UUID of its state disk.
        decision: what was said.
        phase: what the join service made of it: Pending, Approved, Denied, Admitted.
        requested_at: when it asked first, aware UTC; None if the join service has not said yet.
        version: names this state of it (`resourceVersion`).
    """

    name: str
    role: Role
    variant: str
    identity: str
    disk: str
    decision: Decision
    phase: str
    requested_at: datetime | None
    version: str

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "name": self.name,
            "role": self.role.value,
            "variant": self.variant,
            "identity": self.identity,
            "disk": self.disk,
            "decision": self.decision.value,
            "phase": self.phase,
            "requested_at": self.requested_at.isoformat() if self.requested_at is not None else None,
        }


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node that the cluster knows.

    Attributes:
        identity: who it is.
        tickets: how many it got.
        last_ticket: when it got the last one, aware UTC; None if the join service has not said.
    """

    identity: NodeIdentity
    tickets: int
    last_ticket: datetime | None


def join_requests(client: Client) -> tuple[JoinRequest, ...]:
    """Give all requests, by name.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    with asking("list JoinRequests"):
        found = [_join_request(request) for request in client.list(JoinRequestObject)]
    return tuple(sorted(found, key=lambda request: request.name))


def pending(client: Client) -> tuple[JoinRequest, ...]:
    """Give the requests that nobody has decided on, by name.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    return tuple(request for request in join_requests(client) if request.decision is Decision.NONE)


def approve(client: Client, name: str, *, identity: str = "") -> JoinRequest:
    """Let a machine join. Saying it twice is saying it once; who was denied may be approved later.

    Args:
        client: of an administrator.
        name: of the node.
        identity: of the machine that is meant, hexadecimal, or the first digits of it; empty for whichever asks.

    Returns:
        The request with the decision.

    Raises:
        ObjectNotFoundError: nobody asks under this name.
        ConflictError: another machine asks under this name.
        ClusterError: the API server refuses, or does not answer.
    """
    return _decide(client, name, identity, Decision.APPROVED)


def deny(client: Client, name: str, *, identity: str = "") -> JoinRequest:
    """Keep a machine out.

    Args:
        client: as for `approve`.
        name: the same.
        identity: the same.

    Raises:
        ConflictError: another machine asks under this name, or this one was let in already.
        ClusterError: as `approve`.
    """
    return _decide(client, name, identity, Decision.DENIED)


def find_request(client: Client, name: str, *, identity: str = "") -> JoinRequest:
    """Look at the request of a machine.

    Args:
        client: as for `approve`.
        name: the same.
        identity: the same.

    Raises:
        ObjectNotFoundError: nobody asks under this name.
        ConflictError: another machine asks under this name.
        ClusterError: the API server refuses, or does not answer.
    """
    with asking(f"read JoinRequest {name}"):
        request = _join_request(client.get(JoinRequestObject, name))
    if not request.identity.startswith(identity):
        raise ConflictError(
            f"JoinRequest {name}: expected the machine {identity}, got {request.identity}",
            hint="another machine asks under this name: look at it before you decide",
        )
    return request


def require_decidable(request: JoinRequest, decision: Decision) -> None:
    """See that a decision can still be made.

    Raises:
        ConflictError: the machine was let in already, and is to be denied.
    """
    if decision is Decision.DENIED and request.phase == "Admitted":
        raise ConflictError(f"{request.name} was let in already", hint=f"constellation nodes forget {request.name}")


def write_decision(client: Client, request: JoinRequest, decision: Decision) -> JoinRequest:
    """Decide on a request that was looked at.

    Raises:
        ConflictError: it is not the same any more, or the machine was let in already and is denied now.
        ClusterError: the API server refuses, or does not answer.
    """
    require_decidable(request, decision)
    if request.decision is decision:
        return request
    change = {"metadata": {"resourceVersion": request.version}, "spec": {"decision": decision.value}}
    with asking(f"decide on JoinRequest {request.name}"):
        return _join_request(client.patch(JoinRequestObject, request.name, change, patch_type=PatchType.MERGE))


def node_records(client: Client) -> tuple[NodeRecord, ...]:
    """Give the nodes that the cluster knows, by name.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    with asking("list NodeIdentities"):
        found = [_node_record(identity) for identity in client.list(NodeIdentityObject)]
    return tuple(sorted(found, key=lambda record: record.identity.name))


def forget(client: Client, name: str) -> tuple[str, ...]:
    """Take a node's identity and all that it claims: its name, disk and mesh address are free for other machines.

    The machine itself is not told. As long as its kubelet has a certificate it can go on as a node, so this is for
    machines that are gone for good.

    1. The identity goes first: without it nobody takes the machine for a node, whatever happens next.
    2. An approval goes too: it was for this machine, and once. Another one that waits under this name asks again.
    3. Bootstrap tokens that it got and has not used.
    4. The claims go last, when nobody reads the mesh address any more. Whoever is interrupted forgets again.

    Args:
        client: of an administrator.
        name: of the node.

    Returns:
        What was deleted, as "kind/name".

    Raises:
        ObjectNotFoundError: the cluster has nothing of such a node.
        ClusterError: the API server refuses, or does not answer.
    """
    of_node: LabelSelector = {NODE_LABEL: name}
    with asking(f"list what belongs to {name}"):
        tokens = [_name(token) for token in client.list(Secret, namespace=SYSTEM_NAMESPACE, labels=of_node)]
        # What has a duration is a turn: it ends by itself, and may be another's by now.
        leases = [lease for lease in client.list(Lease, namespace=NAMESPACE, labels=of_node) if _is_claim(lease)]
    deleted = [
        *_delete(client, NodeIdentityObject, [name]),  # 1
        *_delete(client, JoinRequestObject, [name]),  # 2
        *_delete(client, Secret, tokens, SYSTEM_NAMESPACE),  # 3
        *_delete(client, Lease, sorted(map(_name, leases)), NAMESPACE),  # 4
    ]
    if not deleted:
        raise ObjectNotFoundError(f"the cluster knows no node {name}", hint="is the name spelt as in NodeIdentity?")
    return tuple(deleted)


def _decide(client: Client, name: str, identity: str, decision: Decision) -> JoinRequest:
    return write_decision(client, find_request(client, name, identity=identity), decision)


def _delete(
    client: Client,
    kind: Any,  # noqa: ANN401 - lightkube has no common type of its classes
    names: list[str],
    namespace: str = "",
) -> Iterator[str]:
    for name in names:
        what = f"{kind.__name__.lower()}/{name}"
        try:
            with asking(f"delete {what}"):
                client.delete(kind, name, namespace=namespace)
        except ObjectNotFoundError:  # somebody else forgets it too
            continue
        yield what


def _is_claim(lease: Lease) -> bool:
    return lease.spec is not None and lease.spec.leaseDurationSeconds is None


def _name(found: Lease | Secret) -> str:
    return (found.metadata and found.metadata.name) or ""


def _join_request(found: Any) -> JoinRequest:  # noqa: ANN401 - lightkube's generic objects have no type
    spec, status = found["spec"], found.get("status") or {}
    return JoinRequest(
        name=found.metadata.name,
        role=Role(spec["role"]),
        variant=spec["variant"],
        identity=spec["identity"],
        disk=spec["disk"],
        decision=Decision(spec.get("decision", "")),
        phase=status.get("phase", "Pending"),
        requested_at=_time(status.get("requestedAt")),
        version=found.metadata.resourceVersion,
    )


def _node_record(found: Any) -> NodeRecord:  # noqa: ANN401 - the same
    status = found.get("status") or {}
    return NodeRecord(NodeIdentity.from_object(found), status.get("tickets", 0), _time(status.get("lastTicket")))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
