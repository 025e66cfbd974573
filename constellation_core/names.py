# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Names that several programs of a cluster have to agree on."""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "constellation-system"

KEY_SERVICE: Final = "key-service"
KEY_SERVICE_HOST: Final = f"{KEY_SERVICE}.{NAMESPACE}.svc"
KEY_SERVICE_PORT: Final = 9100
KEY_SERVICE_AUDIENCE: Final = "constellation-keys"
"""For whom the projected service-account tokens are that callers of the key service show."""

VERIFICATION_PORT: Final = 9091
VERIFICATION_HTTP_PORT: Final = 9092
VERIFICATION_NODE_PORT: Final = 30081
JOIN_NODE_PORT: Final = 30090
RECOVERY_PORT: Final = 9999
"""Where a control plane listens that waits for recovery."""

STATUS_PORT: Final = 8080
"""Health and metrics of a service."""

VOLUME_PROVISIONER: Final = "constellation.dev/state-disk"
"""Who makes volumes of the default storage class."""
VOLUMES_FOLDER: Final = "/run/state/volumes"
"""Where they are, on each node: the state disk is mounted at /run/state."""
