# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes become peers, and with which addresses: judged from the objects that the API server shows.

| object | written by | so |
|---|---|---|
| NodeIdentity | the join service alone | believed; two with the same key or address are a mistake somewhere |
| Node | the controller manager; but a kubelet may set `spec.podCIDR` of its own while it is empty | checked |

1. An answer without this node's own NodeIdentity is not believed, so an empty one never empties the mesh.
2. Nobody takes this node's key, mesh address or pod addresses.
3. Who has a key or an address keeps it; among newcomers the older object has it (attack: a node names the key, or the
   pod addresses, of another and draws its packets to itself).
4. Mesh addresses are in the mesh; pod addresses are a part of those of the cluster, and no larger a part than this node
   has (attack: a node claims what others will get).

A node that claims the pod addresses of another stays a peer, without pods.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Self

from constellation_core.keys.derivation import MESH_KEY_SIZE
from constellation_core.roles import Role
from node_agent.errors import TemporaryError
from node_agent.parts import Peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Identity:
    """What a NodeIdentity says of a node.

    Attributes:
        peer: the node, without its pods.
        created: when the API server got it first, RFC 3339: later texts are later times.
    """

    peer: Peer
    created: str

    @classmethod
    def from_object(cls, found: Mapping[str, Any]) -> Self:
        """Read an object.

        Raises:
            ValueError: a field is missing or wrong.
        """
        metadata, spec = _part(found, "metadata"), _part(found, "spec")
        key = base64.b64decode(_text(spec, "wireguardPublicKey"), validate=True)
        if len(key) != MESH_KEY_SIZE:
            raise ValueError(f"wireguardPublicKey: expected {MESH_KEY_SIZE} bytes, got {len(key)}")
        endpoints = spec.get("addresses", [])
        if not isinstance(endpoints, list) or not all(isinstance(endpoint, str) for endpoint in endpoints):
            raise ValueError("addresses: expected a list of texts")
        peer = Peer(
            name=_text(metadata, "name"),
            public_key=key,
            mesh_address=IPv4Address(_text(spec, "meshAddress")),
            endpoints=tuple(endpoints),
            role=Role(_text(spec, "role")),
        )
        return cls(peer, _text(metadata, "creationTimestamp"))


@dataclass(frozen=True, slots=True)
class PodRange:
    """What a Node says of its pods.

    Attributes:
        node: its name.
        network: addresses of its pods; None before it has some.
        created: when the API server got it first, RFC 3339.
    """

    node: str
    network: IPv4Network | None
    created: str

    @classmethod
    def from_object(cls, found: Mapping[str, Any]) -> Self:
        """Read an object.

        Raises:
            ValueError: a field is missing or wrong.
        """
        metadata, spec = _part(found, "metadata"), found.get("spec") or {}
        text = spec.get("podCIDR") if isinstance(spec, dict) else None
        network = IPv4Network(text) if isinstance(text, str) and text else None
        return cls(_text(metadata, "name"), network, _text(metadata, "creationTimestamp"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What holds before anybody is judged.

    Attributes:
        address: of this node in the mesh.
        public_key: of this node.
        mesh: addresses of nodes in the mesh.
        pods: addresses of all pods of the cluster; None before that is known: then nobody has pods.
        own_pods: addresses of this node's pods, as far as they are known.
        held: peers as they are now, by name.
    """

    address: IPv4Address
    public_key: bytes
    mesh: IPv4Network
    pods: IPv4Network | None
    own_pods: IPv4Network | None
    held: Mapping[str, Peer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Who is a peer.

    Attributes:
        name: of this node.
        peers: all other nodes.
        own_pods: addresses of this node's pods; None before it has some.
        key_announced: whether peers know the key that this node has.
        refusals: what was not believed, for people.
    """

    name: str
    key_announced: bool
    peers: tuple[Peer, ...]
    own_pods: IPv4Network | None
    refusals: tuple[str, ...]


def judge(known: Known, identities: Iterable[Identity], ranges: Iterable[PodRange] | None) -> Judgement:
    """Judge who is a peer, with which addresses.

    Args:
        known: what holds before.
        identities: of all nodes.
        ranges: of all nodes; None while they could not be read: then every peer keeps its pods.

    Raises:
        TemporaryError: this node is not among them.
    """
    refusals: list[str] = []
    everyone = list(identities)
    own = _own(known, everyone)
    if own is None:  # 1
        raise TemporaryError(f"expected a NodeIdentity with our address {known.address}, got {len(everyone)} others")
    name, announced = own.name, own.public_key == known.public_key
    peers = _admitted(known, [identity for identity in everyone if identity.peer.name != name], refusals)
    by_name = _believable(name, known, ranges)
    own_pods = known.own_pods
    if by_name is None:
        kept = {peer: known.held[peer].pod_cidr for peer in known.held}
        peers = [replace(peer, pod_cidr=kept.get(peer.name)) for peer in peers]
    else:
        own_pods = own_pods or _own_range(known, by_name.get(name), refusals)
        peers = _with_pods(replace(known, own_pods=own_pods), peers, by_name, refusals)
    return Judgement(
        name=name, key_announced=announced, peers=tuple(peers), own_pods=own_pods, refusals=tuple(refusals)
    )


def _own(known: Known, everyone: Iterable[Identity]) -> Peer | None:
    """Find this node. Its key may be a newer one than the object says."""
    ours = (identity for identity in everyone if identity.peer.mesh_address == known.address)
    own = min(ours, key=lambda found: (found.peer.public_key != known.public_key, found.created), default=None)
    return own.peer if own is not None else None


def _admitted(known: Known, others: list[Identity], refusals: list[str]) -> list[Peer]:
    """Give the peers in the order of their names, without pods."""
    keys, addresses = {known.public_key}, {known.address}  # 2
    admitted: list[Peer] = []
    for identity in sorted(others, key=lambda identity: _rank(known, identity)):  # 3
        peer = identity.peer
        if peer.mesh_address not in known.mesh:  # 4
            refusals.append(f"node {peer.name}: expected an address in {known.mesh}, got {peer.mesh_address}")
        elif peer.public_key in keys or peer.mesh_address in addresses:
            refusals.append(f"node {peer.name}: its mesh key or its address {peer.mesh_address} is another node's")
        else:
            keys.add(peer.public_key)
            addresses.add(peer.mesh_address)
            admitted.append(peer)
    return sorted(admitted, key=lambda peer: peer.name)


def _rank(known: Known, identity: Identity) -> tuple[bool, str, str]:
    held, peer = known.held.get(identity.peer.name), identity.peer
    holds = held is not None and (held.public_key, held.mesh_address) == (peer.public_key, peer.mesh_address)
    return (not holds, identity.created, peer.name)


def _believable(own: str, known: Known, ranges: Iterable[PodRange] | None) -> dict[str, PodRange] | None:
    """Give the ranges by node; None where the answer is none: nobody, or nobody of this name who was there before."""
    by_name = {found.node: found for found in ranges or ()}
    missing = own not in by_name and known.own_pods is not None
    return None if not by_name or missing else by_name


def _own_range(known: Known, found: PodRange | None, refusals: list[str]) -> IPv4Network | None:
    network = found.network if found is not None else None
    return network if network is None or _proper(known, "this node", network, refusals) else None


def _with_pods(known: Known, peers: Iterable[Peer], by_name: Mapping[str, PodRange], refusals: list[str]) -> list[Peer]:
    taken = [known.own_pods] if known.own_pods is not None else []  # 2
    given: dict[str, IPv4Network] = {}
    claims = [by_name[peer.name] for peer in peers if peer.name in by_name]
    for claim in sorted(claims, key=lambda claim: _pod_rank(known, claim)):  # 3
        network = claim.network
        if network is None or not _proper(known, f"node {claim.node}", network, refusals):
            continue
        if any(network.overlaps(other) for other in taken):
            refusals.append(f"node {claim.node}: its pod addresses {network} are another node's")
            continue
        taken.append(network)
        given[claim.node] = network
    return [replace(peer, pod_cidr=given.get(peer.name)) for peer in peers]


def _pod_rank(known: Known, claim: PodRange) -> tuple[bool, str, str]:
    held = known.held.get(claim.node)
    return (held is None or held.pod_cidr != claim.network, claim.created, claim.node)


def _proper(known: Known, who: str, network: IPv4Network, refusals: list[str]) -> bool:
    fair = known.own_pods is None or network.prefixlen >= known.own_pods.prefixlen
    if fair and known.pods is not None and network.subnet_of(known.pods) and network != known.pods:  # 4
        return True
    refusals.append(f"{who}: expected a part of {known.pods} for its pods, as large as that of others, got {network}")
    return False


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = record.get(name)
    if not isinstance(part, dict):
        raise ValueError(f"{name}: expected a mapping")  # noqa: TRY004 - one kind of error for all that is wrong
    return part


def _text(record: Mapping[str, Any], name: str) -> str:
    text = record.get(name)
    if not isinstance(text, str):
        raise ValueError(f"{name}: expected a text")  # noqa: TRY004
    return text
