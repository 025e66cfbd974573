# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes a cluster says that it has: Kubernetes' own list, and who was attested when it joined.

The API server is a part of what is verified: it cannot make a node acceptable. What it says is compared with what the
nodes prove, and can only add reasons to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lightkube.resources.core_v1 import Node

from constellation_core.names import VERIFICATION_NODE_PORT
from constellation_engine.cluster.api import asking
from constellation_engine.cluster.cluster_verdict import Endpoint
from constellation_engine.cluster.nodes import node_records
from constellation_engine.errors import ClusterError

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_core.cluster_objects import NodeIdentity

_ADDRESSES: Final = ("ExternalIP", "InternalIP", "Hostname")  # best first


@dataclass(frozen=True, slots=True)
class Member:
    """A node that the cluster knows.

    Attributes:
        name: of the node.
        addresses: where it is reached, best first; may be none.
        identity: what it proved when it joined, 32 bytes; None where nobody attested it.
    """

    name: str
    addresses: tuple[str, ...]
    identity: bytes | None

    def endpoint(self, port: int = VERIFICATION_NODE_PORT) -> Endpoint:
        """Say where its verification service is.

        Raises:
            ClusterError: nobody knows an address.
        """
        if not self.addresses:
            raise ClusterError(f"node {self.name} has no address", hint=f"name it: {self.name}=ADDRESS:{port}")
        return Endpoint(self.addresses[0], port, self.name)


def read_members(client: Client) -> tuple[Member, ...]:
    """Ask the API server which nodes there are: those of Kubernetes, and those that were let into the mesh.

    Args:
        client: may list nodes and node identities.

    Returns:
        All that are in one of the lists, sorted by name.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    with asking("list nodes"):
        nodes = {_name(node): node for node in client.list(Node)}
    identities = {record.identity.name: record.identity for record in node_records(client)}
    return tuple(_member(name, nodes.get(name), identities.get(name)) for name in sorted({*nodes, *identities}))


def _name(node: Node) -> str:
    return str(node.metadata.name) if node.metadata is not None else ""


def _member(name: str, node: Node | None, identity: NodeIdentity | None) -> Member:
    status = node.status if node is not None else None
    known = [
        address for address in (status.addresses if status is not None else None) or () if address.type in _ADDRESSES
    ]
    known.sort(key=lambda address: _ADDRESSES.index(address.type))
    addresses = [*(address.address for address in known), *(identity.addresses if identity is not None else ())]
    if identity is not None:  # only nodes reach each other there
        addresses.sort(key=lambda address: address == identity.mesh_address)
    return Member(name, tuple(dict.fromkeys(addresses)), bytes.fromhex(identity.identity) if identity else None)
