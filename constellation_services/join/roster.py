# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""All nodes of the cluster as they are known now: whom a node meets in the mesh, and which addresses are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from constellation_core.cluster_objects import NodeIdentity, Role

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from constellation_proto import join_pb2


class Roster:
    """Follows the NodeIdentity objects."""

    def __init__(self) -> None:
        self._objects: Mapping[str, Any] = {}
        self._identities: dict[str, NodeIdentity] = {}

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self._objects)

    def __contains__(self, name: object) -> bool:
        """Tell whether a node is known. One that joined a moment ago may not be, yet."""
        return name in self._objects

    def take(self, objects: Mapping[str, Any]) -> None:
        """Take the objects as they are now, by name."""
        before, self._objects = self._objects, objects
        for name in before.keys() - objects.keys():
            del self._identities[name]
        for name, found in objects.items():
            if found is not before.get(name):  # what did not change is the same object
                self._identities[name] = NodeIdentity.from_object(found)

    def objects(self) -> list[Any]:
        """Give the objects."""
        return list(self._objects.values())

    def addresses(self) -> Collection[str]:
        """Give the mesh addresses in use."""
        return {identity.mesh_address for identity in self._identities.values()}

    def control_planes_but(self, node: str) -> list[join_pb2.MeshPeer]:
        """Give what a node needs to reach the API servers through the mesh. There it reads of all others."""
        return [
            identity.to_peer()
            for name, identity in self._identities.items()
            if identity.role is Role.CONTROL_PLANE and name != node
        ]
