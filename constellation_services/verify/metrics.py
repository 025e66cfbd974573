# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the verification service counts, for Prometheus: every question, every connection, every signature."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from constellation_services.verify.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.errors import AttestationError
    from attestation.verdict import Verdict
    from constellation_core.channel.refusals import Refusal
    from constellation_core.errors import CoreError
    from constellation_services.errors import ServiceError

_PREFIX: Final = "constellation_verify"
_SECONDS: Final = (
    0.002,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
)  # a TPM of software to one of hardware

_LOG: Final = logging.getLogger(__name__)


class VerifyMetrics:
    """Counters of one verification service. It observes the attested channel.

    Attributes:
        registry: what to show.
        evidence_seconds: how long the device took for each piece of evidence.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.evidence_seconds = Histogram(
            f"{_PREFIX}_evidence_seconds",
            "Time that the device took for evidence, for a connection or a statement.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._statements = Counter(
            f"{_PREFIX}_statements", "Questions by way and outcome.", ["way", "outcome"], registry=self.registry
        )
        self._connections = Counter(
            f"{_PREFIX}_connections", "Attested connections by outcome.", ["outcome"], registry=self.registry
        )
        self._waiting = Gauge(f"{_PREFIX}_waiting", "Peers that wait for a turn.", registry=self.registry)

    def watch_turns(self, waiting: Callable[[], int]) -> None:
        """Show how many peers wait.

        Args:
            waiting: counts them.
        """
        self._waiting.set_function(waiting)

    def given(self, way: str) -> None:
        """Count a question that was answered with a statement.

        Args:
            way: how it came.
        """
        self._statements.labels(way, Outcome.GIVEN).inc()

    def not_given(self, way: str, error: AttestationError | CoreError | ServiceError) -> Outcome:
        """Count a question that was answered with an error, and say what kind that is."""
        outcome = Outcome.of(error)
        self._statements.labels(way, outcome).inc()
        if outcome is Outcome.DEVICE:
            _LOG.warning("no statement could be made: %s", error, extra={"hint": error.hint})
        return outcome

    def accepted(self, _address: str, _verdict: Verdict | None) -> None:
        """Count a connection that came about."""
        self._connections.labels("accepted").inc()

    def refused(self, refusal: Refusal) -> None:
        """Count a connection that did not."""
        self._connections.labels(refusal.reason.value).inc()
