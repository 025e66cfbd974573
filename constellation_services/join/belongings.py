# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a node says is its own: a mesh key, and addresses where its peers reach it. Not what is another's.

1. Nobody else has the key (attack: a genuine node names the key of another, so that its peers send there, or nowhere).
   The API server is asked, and not what this service remembers: a key is known to others as soon as it is written.
2. Addresses lie outside of the cluster's own networks (attack: a tunnel that leads into itself).
3. An address that another node has is not written down. Whoever has it keeps it; it would be no use to who comes later,
   because a tunnel is its key's and not its address's. But to refuse would let a node keep others out with addresses
   that it only claims, and behind address translation two nodes may have the same in honesty.

Addresses of pods are no node's word at all: the controller manager gives them, and nodes judge them
(`node_agent.network.claims`).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from constellation_core.cluster_objects import NodeIdentity, NodeIdentityObject
from constellation_services.join.errors import ForbiddenError

if TYPE_CHECKING:
    from lightkube import AsyncClient

    from constellation_services.join.facts import Facts
    from constellation_services.join.roster import Roster


@dataclass(frozen=True, slots=True)
class Belongings:
    """Knows who has what.

    Attributes:
        client: of the API server.
        facts: of the cluster; its networks are among them.
        roster: nodes that are known; it may be a moment behind.
    """

    client: AsyncClient
    facts: Facts
    roster: Roster

    async def require_own_key(self, node: str, key: bytes) -> None:
        """Check that no other node has a mesh key.

        Raises:
            ForbiddenError: one has.
            ApiError: the API server does not answer or refuses.
        """
        text = base64.b64encode(key).decode("ascii")
        # In a selector the sign "=" has a meaning of its own (apimachinery, package fields).
        found = self.client.list(NodeIdentityObject, fields={"spec.wireguardPublicKey": text.replace("=", r"\=")})
        others = [name async for identity in found if (name := NodeIdentity.from_object(identity).name) != node]
        if others:
            raise ForbiddenError(
                f"mesh key: it is the key of node {others[0]}",
                cause="mesh-key",
                hint=f"node {node} claims what another has: is its machine under somebody else's control?",
            )

    def own_addresses(self, node: str, claimed: tuple[str, ...]) -> tuple[str, ...]:
        """Give the addresses that a node claims, without those that another node has.

        Raises:
            ForbiddenError: one belongs to the mesh, to pods or to Services.
        """
        facts = self.facts.current()[0]
        for network in (facts.mesh_network, facts.pod_network, facts.service_network):
            if inside := next((text for text in claimed if _is_ipv4(text) and IPv4Address(text) in network), None):
                raise ForbiddenError(
                    f"addresses: expected some outside of the cluster's network {network}, got {inside}",
                    cause="address",
                )
        taken = self.roster.endpoints_but(node)
        return tuple(address for address in claimed if address not in taken)


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
