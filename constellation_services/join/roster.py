# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""All nodes of the cluster as they are known now: whom a node meets in the mesh, and which addresses are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from constellation_core.cluster_objects import NodeIdentity
from constellation_core.errors import ConfigError
from constellation_core.roles import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from constellation_proto import join_pb2


class Roster:
    """Follows the NodeIdentity objects."""

    def __init__(self) -> None:
        self._objects: Mapping[str, Any] | None = None
        self._identities: dict[str, NodeIdentity] = {}

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self._identities)

    def __contains__(self, name: object) -> bool:
        """Tell whether a node is known. One that joined a moment ago may not be, yet."""
        return name in self._identities

    def require_read(self) -> None:
        """Check that the nodes were read: without that a ticket would not say where the control planes are.

        Raises:
            ConfigError: they were not, yet.
        """
        if self._objects is None:
            raise ConfigError("the nodes of the cluster were not read yet")

    def take(self, objects: Mapping[str, Any]) -> None:
        """Take the objects as they are now, by name."""
        before = self._objects or {}
        self._identities = {  # what did not change is the same object
            name: self._identities[name] if found is before.get(name) else NodeIdentity.from_object(found)
            for name, found in objects.items()
        }
        self._objects = objects

    def objects(self) -> list[Any]:
        """Give the objects."""
        return list((self._objects or {}).values())

    def addresses_but(self, node: str) -> Collection[str]:
        """Give the mesh addresses that other nodes have."""
        return {identity.mesh_address for name, identity in self._identities.items() if name != node}

    def endpoints_but(self, node: str) -> Collection[str]:
        """Give the addresses where other nodes are reached."""
        return {
            address for name, identity in self._identities.items() if name != node for address in identity.addresses
        }

    def control_planes_but(self, node: str) -> list[join_pb2.MeshPeer]:
        """Give what a node needs to reach the API servers through the mesh. There it reads of all others."""
        return [
            identity.to_peer()
            for name, identity in self._identities.items()
            if identity.role is Role.CONTROL_PLANE and name != node
        ]
