# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh, and a memory of its peers: control planes that all stopped meet there before any API server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node_agent.network.mesh import Mesh

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from node_agent.parts import Peer


class RememberingMesh(Mesh):
    """The mesh of this node; see `node_agent.parts.Mesh`."""

    _learnt: Callable[[Sequence[Peer]], None] | None = None

    async def set_peers(self, peers: Sequence[Peer]) -> None:
        """Speak with these nodes, and with no other; tell who they are, where they came from the cluster."""
        news = {peer.name: peer for peer in peers} != self._held
        await super().set_peers(peers)
        if news and self._learnt is not None:
            self._learnt(peers)

    async def follow(self, kubeconfig: Path, learnt: Callable[[Sequence[Peer]], None] | None = None) -> None:
        """Take the nodes of the cluster as peers, for as long as this runs."""
        self._learnt = learnt
        await super().follow(kubeconfig)
