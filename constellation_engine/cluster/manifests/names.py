# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Names by which the objects of a cluster refer to one another: decisions, see sections 1 and 4 of the protocols."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

NAMESPACE: Final = "constellation-system"
SYSTEM_NAMESPACE: Final = "kube-system"
GROUP: Final = "constellation.dev"
VERSION: Final = "v1"

LABELS: Final = MappingProxyType({"app.kubernetes.io/part-of": "constellation"})
"""What every object of ours carries."""

JOIN: Final = "join-service"
KEYS: Final = "key-service"
VERIFY: Final = "verification-service"
"""Services; each one's service account, DaemonSet and Service are called like it."""
