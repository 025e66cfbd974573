# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a cluster is, by its API server's word: records, and the conditions that follow from them.

What nodes are, and what they booted, is not asked here: `verify` asks the nodes themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from constellation_engine.cluster.nodes import JoinRequest

STATUS_VERSION: Final = 1
LONGEST_LIST: Final = 8  # names in one condition


@dataclass(frozen=True, slots=True)
class NamedCondition:
    """Something that should be so.

    Attributes:
        name: what is true then: "all nodes are Ready".
        missing: what is missing, for people; empty where it is true.
    """

    name: str
    missing: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is so."""
        return not self.missing

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {"name": self.name, "ok": self.holds, "missing": self.missing or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A node of Kubernetes.

    Attributes:
        name: of the node.
        role: "control-plane" or "worker".
        ready: whether its kubelet says that it is.
        reason: why not; empty where it is.
        kubernetes: version of its kubelet.
        image: what its operating system calls itself.
        addresses: where it is.
        identity: what it proved when it joined, hexadecimal; empty where nobody attested it.
    """

    name: str
    role: str
    ready: bool
    reason: str
    kubernetes: str
    image: str
    addresses: tuple[str, ...]
    identity: str

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "name": self.name,
            "ready": self.ready,
            "reason": self.reason or None,
            "role": self.role,
            "kubernetes": self.kubernetes,
            "image": self.image,
            "addresses": list(self.addresses),
            "identity": self.identity or None,
        }


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One of our services.

    Attributes:
        name: of its DaemonSet or Deployment.
        ready: pods that are ready.
        wanted: pods that should be; 0 where the service was never set up.
    """

    name: str
    ready: int
    wanted: int

    @property
    def runs(self) -> bool:
        """Whether it runs wherever it should."""
        return 0 < self.wanted <= self.ready

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {"name": self.name, "ready": self.ready, "wanted": self.wanted}


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConfigStatus:
    """Which machines may join.

    Attributes:
        accepts: images and platforms of explicit policies, for people.
        changed_at: when the file was written last, aware UTC; None where the API server does not say.
        problem: why the newest version is refused, so that an earlier one holds; empty where it holds.
    """

    accepts: tuple[str, ...] = ()
    changed_at: datetime | None = None
    problem: str = ""

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        changed = self.changed_at.isoformat() if self.changed_at is not None else None
        return {"accepts": list(self.accepts), "changed_at": changed, "problem": self.problem or None}


@dataclass(frozen=True, slots=True)
class RefusalEvent:
    """Somebody whom the join service sent away, or a file that it does not take.

    Attributes:
        at: when it was told last, aware UTC.
        reason: one word: Refused, TicketRefused, JoinConfigRefused.
        message: for people.
    """

    at: datetime
    reason: str
    message: str

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {"at": self.at.isoformat(), "reason": self.reason, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """How a cluster is.

    Attributes:
        nodes: those of Kubernetes, by name.
        strangers: names that were let into the mesh and are no nodes.
        services: ours.
        waiting_pods: "namespace/name" of pods that are not ready, and not done.
        join_config: who may join.
        requests: machines that wait for a person.
        refusals: of the last hour, newest first.
    """

    nodes: tuple[NodeStatus, ...]
    strangers: tuple[str, ...]
    services: tuple[ServiceStatus, ...]
    waiting_pods: tuple[str, ...]
    join_config: JoinConfigStatus
    requests: tuple[JoinRequest, ...]
    refusals: tuple[RefusalEvent, ...]

    def conditions(self) -> Iterator[NamedCondition]:
        """Give what should be so. Whoever waits for a person, or was refused, is no trouble of the cluster's."""
        yield NamedCondition("the API server answers")
        unready = [f"{node.name} ({node.reason})" for node in self.nodes if not node.ready]
        yield NamedCondition("all nodes are Ready", _some(unready) if self.nodes else "there is no node")
        unknown = [f"{node.name} (nobody attested it)" for node in self.nodes if not node.identity]
        gone = [f"{name} (was let in, and is no node)" for name in self.strangers]
        yield NamedCondition("every node was attested", _some([*unknown, *gone]))
        waiting = [f"{service.name} {service.ready}/{service.wanted}" for service in self.services if not service.runs]
        yield NamedCondition("the services run", _some(waiting))
        yield NamedCondition("all pods run", _some(self.waiting_pods))
        yield NamedCondition("join-config holds", self.join_config.problem)


def _some(names: list[str] | tuple[str, ...]) -> str:
    rest = len(names) - LONGEST_LIST
    return ", ".join(names[:LONGEST_LIST]) + (f" and {rest} more" if rest > 0 else "")
