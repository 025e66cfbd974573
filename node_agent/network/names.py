# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Names and numbers of the network of a node (section 7 of the protocols)."""

from __future__ import annotations

from typing import Final

MESH_INTERFACE: Final = "constellation0"
MESH_PORT: Final = 51820
BRIDGE: Final = "cni0"
"""Where the pods of the node are plugged in."""
INSIDE: Final = ("lo", MESH_INTERFACE, BRIDGE)
"""Interfaces that lead nowhere but to this node, its pods and the mesh. Any other leads outside."""
TABLE: Final = "constellation"
"""Of nftables, family inet."""
