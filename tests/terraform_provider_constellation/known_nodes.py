# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that a real API server knows, although nobody runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node

from constellation_core.cluster_objects import NodeIdentity
from constellation_core.roles import Role

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane

NAMES: Final = ("control-plane-0", "worker-0")


def let_in(control_plane: ControlPlane, name: str, identity: str, address: str = "127.0.0.1") -> None:
    """Let a cluster know a node."""
    node = NodeIdentity(
        name=name,
        role=Role(name.rpartition("-")[0]),
        variant="qemu-vtpm",
        identity=identity,
        identity_kind="TPM name",
        disk="123e4567-e89b-12d3-a456-426614174000",
        wireguard_public_key=bytes(32),
        host_key="",
        mesh_address="10.213.1.7",
        addresses=(address,),
    )
    control_plane.client().create(Node(metadata=ObjectMeta(name=name)))
    control_plane.client().create(node.to_object(annotations={}))
