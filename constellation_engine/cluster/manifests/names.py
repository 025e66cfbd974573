# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Names by which the objects of a cluster refer to one another: decisions, see sections 1 and 4 of the protocols.

Those that the services need as well are in `constellation_core`: `names` and `cluster_objects`.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from constellation_core.cluster_objects import GROUP
from constellation_core.names import NAMESPACE

SYSTEM_NAMESPACE: Final = "kube-system"

PART_OF: Final = MappingProxyType({"app.kubernetes.io/part-of": "constellation"})
"""Label of every object of ours."""
SERVICE_LABEL: Final = "app.kubernetes.io/name"
"""Label of a service's pods, with its name."""
KEY_CLIENT: Final = MappingProxyType({f"{GROUP}/key-client": "true"})
"""Label of pods in our namespace that may reach the key service."""
SCRAPER: Final = MappingProxyType({f"{GROUP}/scrapes-metrics": "true"})
"""Label of namespaces whose pods may read metrics."""


class Service(StrEnum):
    """A service; its service account, DaemonSet and Service are called like it."""

    JOIN = "join-service"
    KEYS = "key-service"
    VERIFY = "verification-service"
    STORAGE = "storage-service"

    @property
    def labels(self) -> dict[str, str]:
        """Labels of its objects and pods."""
        return {**PART_OF, SERVICE_LABEL: self.value}

    @property
    def selector(self) -> dict[str, str]:
        """What its pods, and no others, are labelled with."""
        return {SERVICE_LABEL: self.value}

    @property
    def is_for_joining(self) -> bool:
        """Whether no machine can join without it."""
        return self in (Service.JOIN, Service.KEYS)

    @property
    def user(self) -> str:
        """Name by which the API server knows its service account."""
        return f"system:serviceaccount:{NAMESPACE}:{self.value}"
