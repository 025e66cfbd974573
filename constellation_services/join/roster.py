# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""All nodes of the cluster as they are known now: whom a node meets in the mesh, and which addresses are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from constellation_core.cluster_objects import NodeIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constellation_proto import join_pb2


class Roster:
    """Follows the NodeIdentity objects."""

    def __init__(self) -> None:
        self._objects: Mapping[str, Any] = {}
        self._peers: dict[str, tuple[str, join_pb2.MeshPeer]] = {}  # by name: version of the object, and what it gives

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self._objects)

    def take(self, objects: Mapping[str, Any]) -> None:
        """Take the objects as they are now, by name."""
        self._objects = objects

    def objects(self) -> list[Any]:
        """Give the objects."""
        return list(self._objects.values())

    def addresses(self) -> set[str]:
        """Give the mesh addresses in use."""
        return {found["spec"]["meshAddress"] for found in self._objects.values()}

    def peers_of(self, node: str) -> list[join_pb2.MeshPeer]:
        """Give all nodes but one."""
        peers = {name: self._peer(name, found) for name, found in self._objects.items()}
        self._peers = peers
        return [peer for name, (_, peer) in peers.items() if name != node]

    def _peer(self, name: str, found: Any) -> tuple[str, join_pb2.MeshPeer]:  # noqa: ANN401 - as in the mapping
        version = found.metadata.resourceVersion
        known = self._peers.get(name)
        if known is not None and known[0] == version:
            return known
        return version, NodeIdentity.from_object(found).to_peer()
