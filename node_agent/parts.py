# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the state machine steers, each behind a small protocol: the state disk, the mesh, Kubernetes, and the power.

The real ones are in `node_agent.disk`, `node_agent.network`, `node_agent.kubernetes` and `node_agent.power`, fakes that
one line can break in `node_agent.testing`. All raise `TemporaryError` where the same call may help a moment later, and
`PermanentError` where it will not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from constellation_core.roles import Role

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence
    from ipaddress import IPv4Address, IPv4Network
    from pathlib import Path
    from uuid import UUID

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from constellation_core.component_list import Component
    from constellation_core.keys.key_material import KeyMaterial
    from constellation_core.keys.secret import Secret

    Report = Callable[[str], None]
    """Takes one line of progress for people. It does not wait."""


# The state disk


class DiskKind(Enum):
    """What is on the device of a state disk."""

    NEW = "new"  # nothing: it may be formatted
    UNFINISHED = "unfinished"  # our header, and no cluster has adopted it: whatever is on it is lost, and may be
    INITIALIZED = "initialized"  # our header, adopted by a cluster: it may hold data, and is never formatted
    FOREIGN = "foreign"  # something else: it is left alone

    @property
    def may_be_formatted(self) -> bool:
        """Whether a node that boots for the first time takes it."""
        return self in {DiskKind.NEW, DiskKind.UNFINISHED}


@dataclass(frozen=True, slots=True)
class DiskState:
    """What was found on the device of a state disk: the host's word, until the disk is open.

    Attributes:
        kind: what it is.
        uuid: LUKS UUID; None where it has no header of ours.
        cluster: short id of the cluster that its token names; empty where it names none.
        reason: why it is foreign or unfinished, for people.
    """

    kind: DiskKind
    uuid: UUID | None = None
    cluster: str = ""
    reason: str = ""


class StateDisk(Protocol):
    """The one encrypted disk of a node."""

    async def examine(self) -> DiskState:
        """Look at the device, and change nothing."""

    async def prepare(self) -> UUID:
        """Format it under a random key that is nowhere but in memory, and open it.

        The UUID of an unfinished disk is kept: a node that lost its power between its ticket and `adopt` asks again as
        the holder of the same disk.

        Returns:
            LUKS UUID.
        """

    async def adopt(self, key: Secret, cluster: str) -> None:
        """Add the real key, destroy the random one, and write into the header whose disk it is.

        Args:
            key: 32 bytes.
            cluster: short id of the cluster.
        """

    async def open(self, key: Secret) -> None:
        """Open a disk that was adopted, by a copy of its header that was checked.

        Raises:
            PermanentError: the key is another disk's, or the header is not one that we would have written.
        """

    async def mount(self) -> None:
        """Mount the open disk, and bind its folders to where programs look for them."""

    async def grow(self) -> None:
        """Take all room that the device has by now."""

    async def close(self) -> None:
        """Unmount and close it, and forget its key; nothing where it is not open."""


# The mesh


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another node, as the mesh sees it.

    Attributes:
        name: of the node.
        public_key: of WireGuard, 32 bytes.
        mesh_address: its address in the mesh.
        endpoints: names or addresses where it may be reached.
        pod_cidr: addresses of its pods; None where that is not known yet.
        role: what it is; control planes serve the API.
    """

    name: str
    public_key: bytes = field(repr=False)
    mesh_address: IPv4Address
    endpoints: tuple[str, ...] = ()
    pod_cidr: IPv4Network | None = None
    role: Role = Role.WORKER


class Mesh(Protocol):
    """The encrypted network between nodes."""

    def load_or_make_key(self, folder: Path) -> X25519PrivateKey:
        """Give the key that is kept in a folder; a new one where there is none.

        Args:
            folder: on the state disk; made where it does not exist.
        """

    async def protect(self, pod_cidr: IPv4Network | None, *, service_cidr: IPv4Network | None = None) -> None:
        """Drop packets of pods that would leave outside of the mesh; before the first pod runs.

        Args:
            pod_cidr: addresses of all pods; None before they are known: then the node lets in what it must.
            service_cidr: addresses of Services; None before that is known.
        """

    async def start(self, *, key: X25519PrivateKey, address: IPv4Address, secret: Secret) -> None:
        """Make the interface; again with the same arguments, nothing changes.

        Args:
            key: of this node.
            address: of this node in the mesh.
            secret: the measurement secret; the key of each pair of nodes derives from it.
        """

    async def set_peers(self, peers: Sequence[Peer]) -> None:
        """Speak with these nodes, and with no other."""

    async def lead_to_api(self, *, served_here: bool) -> None:
        """Lead the address of the API to a control plane that serves, out of those that are peers at any time.

        Args:
            served_here: whether this node is a control plane itself: then its own API server goes first.
        """

    async def watch_api(self) -> None:
        """See which control planes serve, for as long as this runs. Before `lead_to_api`, nobody wants to know."""

    async def follow(self, kubeconfig: Path, learnt: Callable[[Sequence[Peer]], None]) -> None:
        """Take the nodes of the cluster as peers, for as long as this runs: it ends when it is cancelled.

        Args:
            kubeconfig: with which the kubelet speaks to the API server.
            learnt: told all peers whenever they change. They are kept for the next boot: control planes that all
                stopped meet in the mesh before any API server answers.
        """

    async def close(self) -> None:
        """Remove the interface and forget its keys. What `protect` drops stays dropped."""


# Kubernetes


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnNode:
    """Who this node is in the cluster: what a NodeIdentity says.

    Attributes:
        name: of the node.
        role: what it is.
        variant: platform that attests it.
        identity: what identifies its devices, SHA-256 in hexadecimal.
        identity_kind: what that was computed from.
        disk: LUKS UUID of its state disk.
        wireguard_public_key: 32 bytes.
        mesh_address: its address in the mesh.
        addresses: where its peers reach it.
        host_key: of SSH, one OpenSSH line; empty where its image has no server.
    """

    name: str
    role: Role
    variant: str
    identity: str
    identity_kind: str
    disk: UUID
    wireguard_public_key: bytes = field(repr=False)
    mesh_address: IPv4Address
    addresses: tuple[str, ...]
    host_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """What the first control plane makes a cluster of.

    Attributes:
        node: who it is itself; the cluster's first NodeIdentity.
        cluster_name: a DNS label.
        cluster_id: 32 bytes.
        kubernetes_version: as "v1.36.4".
        components: programs of nodes.
        endpoint: host:port of the API server, as administrators and nodes reach it.
        certificate_sans: further names of the API server.
        service_cidr: addresses of Services.
        pod_cidr: addresses of pods.
        mesh_network: addresses of nodes in the mesh.
        join_config: which machines may join, YAML.
        key_material: for the Secret `key-material`.
        measurement_salt: 32 bytes.
        secrets_key: encrypts Secrets at rest, 32 bytes.
    """

    node: OwnNode
    cluster_name: str
    cluster_id: bytes
    kubernetes_version: str
    components: tuple[Component, ...]
    endpoint: str
    certificate_sans: tuple[str, ...]
    service_cidr: IPv4Network
    pod_cidr: IPv4Network
    mesh_network: IPv4Network
    join_config: str
    key_material: KeyMaterial
    measurement_salt: bytes
    secrets_key: Secret


@dataclass(frozen=True, slots=True)
class ControlPlaneFile:
    """One file that control planes share.

    Attributes:
        path: below /etc/kubernetes; not checked.
        content: of the file.
    """

    path: str
    content: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPlan:
    """What a node joins a cluster with.

    Attributes:
        node_name: of this node.
        role: what it becomes.
        mesh_address: its address in the mesh.
        kubernetes_version: as "v1.36.4".
        components: programs that the cluster's nodes run.
        api_endpoint: host:port of the API server.
        ca_hash: "sha256:…" of the cluster authority's public key.
        bootstrap_token: as kubeadm takes it.
        kubelet_certificate: PEM.
        kubelet_key: private half of it.
        control_plane_files: empty for workers.
    """

    node_name: str
    role: Role
    mesh_address: IPv4Address
    kubernetes_version: str
    components: tuple[Component, ...]
    api_endpoint: str
    ca_hash: str
    bootstrap_token: Secret
    kubelet_certificate: bytes
    kubelet_key: EllipticCurvePrivateKey = field(repr=False)
    control_plane_files: tuple[ControlPlaneFile, ...] = ()


class Kubernetes(Protocol):
    """Kubernetes on this node. The state disk is mounted, and the mesh is up."""

    async def init(self, plan: ClusterPlan, report: Report) -> bytes:
        """Make a cluster, with our objects in it.

        Returns:
            Kubeconfig of an administrator.
        """

    async def join(
        self, plan: JoinPlan, report: Report, *, resumable: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Join a cluster.

        Args:
            plan: what a ticket says.
            report: takes progress.
            resumable: awaited when all is on the disk that `start_kubelet` needs to finish, and before anybody in the
                cluster knows of the node.
        """

    async def start_kubelet(self, report: Report) -> None:
        """Start what an earlier boot has set up; finish it where that boot did not."""

    async def keep_members(self, own: IPv4Address, news: asyncio.Event) -> None:
        """Take control planes out of etcd that the cluster forgot, for as long as this runs.

        Args:
            own: address of this control plane in the mesh.
            news: set when nodes came or went.
        """


# The machine


class Power(Protocol):
    """The machine itself."""

    async def reboot(self) -> None:
        """Boot again. Where this returns, the machine is on its way down."""
