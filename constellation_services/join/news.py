# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Telling operators: Kubernetes Events and metrics for everybody who was let in, and everybody who was not.

Events are written in the background and never hold up a node. The same trouble with the same one is written once a
minute, so that nobody can fill the cluster with events, and nodes that get tickets in the same second share an event;
metrics count every one.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from constellation_core.names import NAMESPACE
from constellation_services.watching import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from lightkube import AsyncClient

    from attestation.verdict import Verdict
    from constellation_core.channel.refusals import Refusal

COMPONENT: Final = "join-service"
JOIN_CONFIG: Final = ObjectReference(apiVersion="v1", kind="ConfigMap", name="join-config", namespace=NAMESPACE)

_QUIET: Final = 60.0  # seconds between two events that say the same
_REMEMBERED: Final = 1024
_QUEUE: Final = 2048  # things to write; what comes when it is full is counted and dropped
_WRITERS: Final = 2
_LONGEST: Final = 1000  # characters of an event's message
_TOGETHER: Final = 1.0  # seconds; who gets a ticket within them shares an event

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metrics:
    """What the join service counts. One registry each, so that a test can run several services."""

    registry: CollectorRegistry
    connections: Counter
    tickets: Counter
    seconds: Histogram
    configs: Counter
    dropped: Counter
    nodes: Gauge
    config_usable: Gauge
    facts_usable: Gauge

    @classmethod
    def new(cls) -> Metrics:
        """Make all of them at zero."""
        registry = CollectorRegistry()
        prefix = "constellation_join"
        return cls(
            registry,
            Counter(f"{prefix}_connections", "Attested connections by outcome", ["outcome"], registry=registry),
            Counter(
                f"{prefix}_tickets", "Tickets by kind, role and outcome", ["kind", "role", "outcome"], registry=registry
            ),
            Histogram(f"{prefix}_ticket_seconds", "Time to make a ticket", ["kind"], registry=registry),
            Counter(f"{prefix}_configs", "Versions of join-config by outcome", ["outcome"], registry=registry),
            Counter(f"{prefix}_dropped_news", "Events that could not be written", registry=registry),
            Gauge(f"{prefix}_nodes", "Nodes of the cluster", registry=registry),
            Gauge(f"{prefix}_config_usable", "0: an older version of join-config holds, or none", registry=registry),
            Gauge(f"{prefix}_facts_usable", "0: older facts of the cluster hold, or none", registry=registry),
        )


class News:
    """Writes events, and whatever else may be written later.

    Args:
        client: of the API server.
        instance: name of the pod.
        metrics: what is counted.
    """

    def __init__(self, client: AsyncClient, instance: str, metrics: Metrics) -> None:
        self._client = client
        self._instance = instance
        self._metrics = metrics
        self._queue: asyncio.Queue[Callable[[], Awaitable[object]]] = asyncio.Queue(_QUEUE)
        self._told: dict[tuple[str, str], float] = {}
        self._issued: dict[str, list[str]] = {}

    def accepted(self, address: str, verdict: Verdict | None) -> None:
        """Count a connection (`Observer`)."""
        del address, verdict
        self._metrics.connections.labels(outcome="accepted").inc()

    def refused(self, refusal: Refusal) -> None:
        """Count a connection that was refused, and tell of evidence (`Observer`)."""
        self._metrics.connections.labels(outcome=refusal.reason.value).inc()
        if refusal.reason.is_news:
            self.tell("Refused", f"a machine at {refusal.address} was refused: {refusal.detail}", about=refusal.address)

    def ticket_issued(self, kind: str, who: str) -> None:
        """Tell of somebody who got a ticket, together with all others of this second."""
        self._issued.setdefault(kind, []).append(who)

    def tell(self, reason: str, message: str, *, about: str, warning: bool = True) -> None:
        """Write an event soon.

        Args:
            reason: one word, CamelCase.
            message: for people.
            about: whom it concerns: a node's name, an address; the same reason is told once a minute.
            warning: whether somebody should look.
        """
        now = asyncio.get_running_loop().time()
        last = self._told.pop((reason, about), None)
        fresh = last is None or now - last >= _QUIET
        self._told[reason, about] = now if fresh or last is None else last
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        if fresh:
            event = _event(self._instance, reason, message, "Warning" if warning else "Normal")
            self.later(lambda: self._client.create(event))

    def later(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write something soon that nobody waits for."""
        try:
            self._queue.put_nowait(write)
        except asyncio.QueueFull:
            self._metrics.dropped.inc()

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as writers:
            writers.create_task(self._gather_tickets())
            for _ in range(_WRITERS):
                writers.create_task(self._write())

    async def flush(self, grace: float) -> None:
        """Wait until everything is written, for some seconds at most."""
        self._tell_tickets()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._queue.join()

    async def _gather_tickets(self) -> None:
        while True:
            await asyncio.sleep(_TOGETHER)
            self._tell_tickets()

    def _tell_tickets(self) -> None:
        issued, self._issued = self._issued, {}
        for kind, names in issued.items():
            for message in _messages(kind, names):
                event = _event(self._instance, "TicketIssued", message, "Normal")
                self.later(partial(self._client.create, event))

    async def _write(self) -> None:
        while True:
            write = await self._queue.get()
            try:
                await write()
            except Exception as error:  # noqa: BLE001 - the next news may be told
                self._metrics.dropped.inc()
                _LOG.warning("cannot tell the cluster: %s", error, exc_info=not isinstance(error, TEMPORARY))
            finally:
                self._queue.task_done()


def _messages(kind: str, names: list[str]) -> Iterator[str]:
    """Say who got tickets, in as few messages as they fit in."""
    start = f"{kind} for "
    line = ""
    for name in names:
        if line and len(start) + len(line) + len(name) > _LONGEST - len(", "):
            yield start + line
            line = ""
        line += f", {name}" if line else name
    if line:
        yield start + line


def _event(instance: str, reason: str, message: str, kind: str) -> Event:
    now = datetime.now(UTC)
    return Event(
        metadata=ObjectMeta(name=f"{COMPONENT}.{uuid.uuid4().hex[:16]}", namespace=NAMESPACE),
        involvedObject=JOIN_CONFIG,
        reason=reason,
        message=message[:_LONGEST],
        type=kind,
        source=EventSource(component=COMPONENT, host=instance),
        firstTimestamp=now,
        lastTimestamp=now,
        count=1,
    )
