# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses inside a cluster: which networks there are, and how large they must be."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Final

DEFAULT_MESH_NETWORK: Final = IPv4Network("10.213.0.0/16")
"""Addresses of nodes in the mesh; the same in every cluster."""
DEFAULT_POD_NETWORK: Final = IPv4Network("10.244.0.0/16")
DEFAULT_SERVICE_NETWORK: Final = IPv4Network("10.96.0.0/12")

API_ADDRESS: Final = DEFAULT_MESH_NETWORK[1]
"""Address of the API in the mesh that no machine has: every node leads it to a control plane that serves."""
API_PORT: Final = 6443
API_ENDPOINT: Final = f"{API_ADDRESS}:{API_PORT}"

PREFIXES: Final = range(8, 29)  # a smaller network has no room for a cluster
SERVICE_PREFIXES: Final = range(PREFIXES[0], 25)
POD_PREFIXES: Final = range(PREFIXES[0], 23)  # each node takes a /24 of it
