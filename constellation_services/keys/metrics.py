# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the key service counts, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge

if TYPE_CHECKING:
    from constellation_services.keys.certificate import ServingCertificate
    from constellation_services.keys.outcome import Outcome
    from constellation_services.keys.permissions import KeyClass


class KeyMetrics:
    """Counters of one key service.

    Args:
        certificate: whose expiry is shown.

    Attributes:
        registry: what to show.
    """

    def __init__(self, certificate: ServingCertificate) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "constellation_key_requests",
            "Requests for keys, by how they ended and what the key is for.",
            ["outcome", "key_class"],
            registry=self.registry,
        )
        expiry = Gauge(
            "constellation_key_certificate_expiry_seconds",
            "When the serving certificate expires, in seconds since 1970.",
            registry=self.registry,
        )
        expiry.set_function(lambda: certificate.expires().timestamp())

    def count(self, outcome: Outcome, key_class: KeyClass | None) -> None:
        """Count a request; of a class that does not exist it counts as `unknown`."""
        self._requests.labels(outcome, key_class or "unknown").inc()
