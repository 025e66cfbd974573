# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What happens in a cluster that somebody should know of, as records, each once: for programs that act on events.

    watch = Watch(since=datetime.now(UTC))
    while True:
        for happening in (*watch.compare(read_status(client, now)), *watch.judge(await question.ask())):
            ...

It compares what is so now with what was so before; who asks, and how often, is the caller's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from constellation_engine.cluster.cluster_verdict import ClusterVerdict
    from constellation_engine.cluster.nodes import JoinRequest
    from constellation_engine.cluster.status import ClusterStatus, RefusalEvent

HAPPENING_VERSION: Final = 1


class Kind(StrEnum):
    """What happened."""

    JOIN_REFUSED = "join_refused"
    JOIN_CONFIG_REFUSED = "join_config_refused"
    NODE_PENDING = "node_pending"
    MEASUREMENT_DRIFT = "measurement_drift"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened.

    Attributes:
        kind: what.
        at: when, aware UTC.
        message: one sentence for people.
        node: whom it is about; empty where it is about none.
        details: plain data, by the kind: `role`, `variant` and `identity` of a node that waits, `mismatches` of one
            that proves something else than before.
    """

    kind: Kind
    at: datetime
    message: str
    node: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "version": HAPPENING_VERSION,
            "kind": self.kind.value,
            "at": self.at.isoformat(),
            "message": self.message,
            "node": self.node or None,
            **self.details,
        }


class Watch:
    """Remembers what was told.

    Args:
        since: refusals before this are old, aware UTC. Whoever waits for a person is told of in any case.
    """

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._refusals: frozenset[RefusalEvent] = frozenset()
        self._requests: frozenset[tuple[str, str]] = frozenset()
        self._drifted: dict[str, tuple[object, ...]] = {}
        self._unreachable = False

    def compare(self, status: ClusterStatus) -> Iterator[Happening]:
        """Give what is new in a cluster's word about itself."""
        self._unreachable = False
        recent = {refusal for refusal in status.refusals if refusal.at >= self._since}
        for refusal in sorted(recent - self._refusals, key=lambda one: one.at):
            yield _of_refusal(refusal)
        self._refusals = frozenset(recent)
        for request in status.requests:
            if (request.name, request.identity) not in self._requests:
                yield _of_request(request, self._since)
        self._requests = frozenset((request.name, request.identity) for request in status.requests)

    def judge(self, verdict: ClusterVerdict) -> Iterator[Happening]:
        """Give the nodes that prove something else than they must, when that begins or changes.

        A node that does not answer has no measurements that could differ, and is not told of.
        """
        for node in verdict.nodes:
            name, reasons = str(node.endpoint), node.reasons
            if reasons and reasons != self._drifted.get(name):
                yield Happening(
                    kind=Kind.MEASUREMENT_DRIFT,
                    at=verdict.at,
                    message=f"{name} proves something else than it must: {'; '.join(map(str, reasons))}",
                    node=name,
                    details={"mismatches": node.to_mapping()["mismatches"]},
                )
            if reasons or node.accepted:
                self._drifted[name] = reasons

    def miss(self, why: str, at: datetime) -> Iterator[Happening]:
        """Say that the API server does not answer, once until it does again."""
        if not self._unreachable:
            yield Happening(kind=Kind.UNREACHABLE, at=at, message=why)
        self._unreachable = True


def _of_refusal(refusal: RefusalEvent) -> Happening:
    kind = Kind.JOIN_CONFIG_REFUSED if refusal.reason == "JoinConfigRefused" else Kind.JOIN_REFUSED
    return Happening(kind=kind, at=refusal.at, message=refusal.message, details={"reason": refusal.reason})


def _of_request(request: JoinRequest, otherwise: datetime) -> Happening:
    return Happening(
        kind=Kind.NODE_PENDING,
        at=request.requested_at or otherwise,
        message=f"{request.name} proved itself as a {request.role}, and waits for a person",
        node=request.name,
        details={"role": request.role.value, "variant": request.variant, "identity": request.identity},
    )
