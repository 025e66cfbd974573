# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Of which cluster this node is: keys that open its disk, and what its disk remembers for the next boot.

    {"version": 1, "name": "control-0", "role": "control-plane", "cluster_id": "…", "measurement_salt": "…",
     "mesh_address": "10.213.1.1", "pod_cidr": "10.244.0.0/16", "service_cidr": "10.96.0.0/12",
     "endpoint": "10.213.0.1:6443",
     "peers": [{"name": "worker-0", …}]}

The file `membership.json` lies on the encrypted disk: who reads it had the disk's key. There is no secret in it.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError
from attestation.strict_json import load_object
from constellation_core.fields import Fields
from constellation_core.keys.derivation import MEASUREMENT_SECRET, SECRET_SIZE, cluster_id, state_disk
from constellation_core.keys.secret import Secret
from constellation_core.roles import Role
from node_agent.errors import PermanentError
from node_agent.parts import Peer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from uuid import UUID

    from constellation_core.keys.provider import KeyProvider
    from constellation_proto import join_pb2

VERSION: Final = 1
FOLDER: Final = "constellation"
"""On the state disk: what the agent keeps."""
FILE_NAME: Final = "membership.json"
KUBECONFIG: Final = "kubeconfig"
"""Of an administrator; only on the disk of the cluster's first node."""
SHORT_ID: Final = 12  # hexadecimal digits of a cluster ID in the header of a disk
MAX_PEERS: Final = 5000
KEY_SIZE: Final = 32  # bytes, of WireGuard

_MAX_SIZE: Final = 2 * 1024 * 1024  # bytes
_KNOWN: Final = (
    "version",
    "name",
    "role",
    "cluster_id",
    "measurement_salt",
    "mesh_address",
    "pod_cidr",
    "service_cidr",
    "endpoint",
    "peers",
)
_PEER: Final = ("name", "public_key", "mesh_address", "endpoints", "pod_cidr", "role")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}")
_ROLE: Final = re.compile("|".join(Role))
_IPV4: Final = re.compile(r"[0-9.]{7,15}")
_CIDR: Final = re.compile(r"[0-9.]{7,15}/[0-9]{1,2}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, slots=True)
class ClusterKeys:
    """What a node of a cluster gets, by whichever way.

    Attributes:
        disk: opens its state disk, 32 bytes.
        measurement: the measurement secret, 32 bytes.
        salt: the measurement salt, 32 bytes; None where only the disk knows it.
    """

    disk: Secret
    measurement: Secret
    salt: bytes | None

    @classmethod
    async def derive(cls, provider: KeyProvider, disk: UUID, salt: bytes | None) -> ClusterKeys:
        """Have a key provider make them."""
        return cls(
            await provider.data_key(state_disk(str(disk)), SECRET_SIZE),
            await provider.data_key(MEASUREMENT_SECRET, SECRET_SIZE),
            salt,
        )

    @classmethod
    def of_ticket(cls, ticket: join_pb2.Ticket | join_pb2.RejoinTicket) -> ClusterKeys:
        """Take them from a ticket.

        Raises:
            PermanentError: one has a wrong size.
        """
        parts = (ticket.state_disk_key, ticket.measurement_secret, ticket.measurement_salt)
        if any(len(part) != SECRET_SIZE for part in parts):
            raise PermanentError(f"the ticket: expected keys of {SECRET_SIZE} bytes, got others")
        return cls(Secret(ticket.state_disk_key), Secret(ticket.measurement_secret), ticket.measurement_salt)

    def cluster_id(self, salt: bytes) -> bytes:
        """Compute the cluster ID, 32 bytes."""
        return cluster_id(self.measurement, salt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What the disk of a node remembers.

    Attributes:
        name: of the node.
        role: what it is.
        cluster_id: 32 bytes.
        measurement_salt: 32 bytes.
        mesh_address: of the node.
        pod_cidr: addresses of all pods.
        service_cidr: addresses of Services.
        endpoint: host:port of the API server, as nodes reach it.
        peers: as far as they are known.
    """

    name: str
    role: Role
    cluster_id: bytes
    measurement_salt: bytes
    mesh_address: IPv4Address
    pod_cidr: IPv4Network
    service_cidr: IPv4Network
    endpoint: str
    peers: tuple[Peer, ...] = ()

    @property
    def short_id(self) -> str:
        """The cluster's name in the header of a disk."""
        return self.cluster_id.hex()[:SHORT_ID]

    def with_peers(self, peers: Iterable[Peer]) -> Membership:
        """Give the same with other peers."""
        return replace(self, peers=tuple(peers))

    def save(self, state: Path) -> None:
        """Write it: whole or not at all, also when the power goes.

        Args:
            state: where the disk is mounted.
        """
        folder = state / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        draft = folder / f".{FILE_NAME}.new"
        with draft.open("wb") as file:
            file.write(json.dumps(_record_of(self)).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / FILE_NAME)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)  # the name has to be as durable as the bytes
        finally:
            os.close(descriptor)

    @classmethod
    def load(cls, state: Path) -> Membership:
        """Read it.

        Raises:
            PermanentError: it is missing or damaged: the node never finished to join.
        """
        path = state / FOLDER / FILE_NAME
        try:
            data = path.read_bytes()
            record = load_object(data, FILE_NAME, max_size=_MAX_SIZE, max_brackets=4 * MAX_PEERS)
            return _read(Fields(record, FILE_NAME, _KNOWN))
        except (OSError, MalformedError) as error:
            raise PermanentError(
                f"the state disk does not say whose node this is: {error}",
                hint="forget the node (constellation nodes forget), and give the machine a new disk",
            ) from None


def keep_kubeconfig(state: Path, content: bytes) -> None:
    """Keep what an administrator got, for the case that the answer did not arrive.

    Args:
        state: where the disk is mounted.
        content: secret, and as well kept as all else on the disk.
    """
    folder = state / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / KUBECONFIG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def kept_kubeconfig(state: Path) -> bytes:
    """Give it; nothing where there is none."""
    try:
        return (state / FOLDER / KUBECONFIG).read_bytes()
    except FileNotFoundError:
        return b""


def _record_of(membership: Membership) -> dict[str, Any]:
    return {
        "version": VERSION,
        "name": membership.name,
        "role": membership.role.value,
        "cluster_id": membership.cluster_id.hex(),
        "measurement_salt": membership.measurement_salt.hex(),
        "mesh_address": str(membership.mesh_address),
        "pod_cidr": str(membership.pod_cidr),
        "service_cidr": str(membership.service_cidr),
        "endpoint": membership.endpoint,
        "peers": [
            {
                "name": peer.name,
                "public_key": base64.b64encode(peer.public_key).decode("ascii"),
                "mesh_address": str(peer.mesh_address),
                "endpoints": list(peer.endpoints),
                "pod_cidr": str(peer.pod_cidr or ""),
                "role": peer.role.value,
            }
            for peer in membership.peers
        ],
    }


def _read(fields: Fields) -> Membership:
    fields.version(VERSION)
    return Membership(
        name=fields.text("name", _NAME, "a DNS name"),
        role=_role(fields),
        cluster_id=fields.hexadecimal("cluster_id", SECRET_SIZE),
        measurement_salt=fields.hexadecimal("measurement_salt", SECRET_SIZE),
        mesh_address=_address(fields),
        pod_cidr=_network(fields, "pod_cidr"),
        service_cidr=_network(fields, "service_cidr"),
        endpoint=fields.any_text("endpoint"),  # disks of releases before it was kept: their nodes translate nothing
        peers=tuple(_peer(Fields(entry, "peer", _PEER)) for entry in fields.entries("peers", range(MAX_PEERS + 1))),
    )


def _peer(fields: Fields) -> Peer:
    return Peer(
        name=fields.text("name", _NAME, "a DNS name"),
        public_key=base64.b64decode(fields.text("public_key", _BASE64, "32 bytes in base64")),
        mesh_address=_address(fields),
        endpoints=tuple(map(str, fields.entries("endpoints", range(64)))),
        pod_cidr=_network(fields, "pod_cidr") if fields.any_text("pod_cidr") else None,
        role=_role(fields) if "role" in fields else Role.WORKER,
    )


def _role(fields: Fields) -> Role:
    return Role(fields.text("role", _ROLE, " or ".join(Role)))


def _address(fields: Fields) -> IPv4Address:
    text = fields.text("mesh_address", _IPV4, "an IPv4 address")
    try:
        return IPv4Address(text)
    except ValueError:
        raise fields.wrong("mesh_address", "an IPv4 address", text) from None


def _network(fields: Fields, name: str) -> IPv4Network:
    text = fields.text(name, _CIDR, "an IPv4 network")
    try:
        return IPv4Network(text)
    except ValueError:
        raise fields.wrong(name, "an IPv4 network", text) from None


def peers_of(messages: Iterable[join_pb2.MeshPeer]) -> tuple[Peer, ...]:
    """Take the peers that a ticket names: control planes.

    Raises:
        PermanentError: one is not what a peer must be.
    """
    try:
        return tuple(
            Peer(
                name=message.node,
                public_key=_key(message.wireguard_public_key),
                mesh_address=IPv4Address(message.mesh_address),
                endpoints=tuple(message.addresses),
                role=Role.CONTROL_PLANE,
            )
            for message in messages
        )
    except ValueError as error:
        raise PermanentError(f"the ticket: mesh peer: {error}") from None


def _key(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        message = f"expected a key of {KEY_SIZE} bytes, got {len(key)}"
        raise ValueError(message)
    return key
