# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""This machine, as all steps of its life see it: what it is, its parts, and how far it has come."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from constellation_core.networks import API_ENDPOINT
from constellation_core.roles import Role
from node_agent.addresses import own_addresses
from node_agent.errors import PermanentError
from node_agent.image import Profile
from node_agent.loops import foreign_errors, insist

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from ipaddress import IPv4Network
    from uuid import UUID

    from constellation_core.keys.secret import Secret
    from node_agent.device import NodeDevice
    from node_agent.emergency_access import EmergencyAccess
    from node_agent.image import ImageFacts, TrustedImage
    from node_agent.membership import ClusterKeys, Membership
    from node_agent.metadata.record import Metadata
    from node_agent.metadata.source import MetadataSource
    from node_agent.parts import Kubernetes, Mesh, Peer, Power, Report, StateDisk
    from node_agent.reporter import Reporter
    from node_agent.self_image import SelfImage
    from node_agent.settings import Settings

_Result = TypeVar("_Result")

PATIENCE: Final = 60.0  # seconds that a part may say "try again" before it counts as broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the state machine steers.

    Attributes:
        disk: the state disk.
        mesh: the network between nodes.
        kubernetes: Kubernetes on this node.
        power: of the machine.
    """

    disk: StateDisk
    mesh: Mesh
    kubernetes: Kubernetes
    power: Power


class Assembly(Protocol):
    """Makes what a machine has, when it is needed."""

    def device(self, facts: ImageFacts) -> NodeDevice:
        """Give what speaks for the machine."""

    def source(self, facts: ImageFacts) -> MetadataSource:
        """Give the source of metadata on the platform of an image."""

    def parts(self, facts: ImageFacts, metadata: Metadata) -> Parts:
        """Give the parts of a machine with this image that is to be what metadata says."""


@dataclass(frozen=True, slots=True)
class PreparedDisk:
    """A state disk under a throw-away key, mounted.

    Attributes:
        uuid: of its header.
        public_key: of the mesh, 32 bytes; the private half is on the disk.
        host_key: of SSH, one OpenSSH line; empty where the image has no server.
    """

    uuid: UUID
    public_key: bytes = field(repr=False)
    host_key: str = ""


@dataclass(slots=True, kw_only=True)
class Machine:
    """A machine that knows what it booted and who it is to be.

    Attributes:
        settings: of the agent.
        facts: of the image.
        image: who builds our images, and what they signed of ours.
        device: speaks for this machine.
        registers: what the boot has measured, by number; none without a TPM.
        metadata: who it is to be, by the platform's word.
        source: where metadata comes from.
        parts: what it has.
        reporter: tells what happens.
        marked: whether this boot belongs to a cluster: then there is no way back but another boot.
        membership: of its cluster, once it has one.
        secret: the measurement secret, once the mesh is up.
        init_port: where it listens for init; 0 where it does not.
    """

    settings: Settings
    facts: ImageFacts
    image: TrustedImage
    device: NodeDevice
    registers: dict[int, bytes]
    metadata: Metadata
    source: MetadataSource
    parts: Parts
    reporter: Reporter
    marked: bool = False
    membership: Membership | None = None
    secret: Secret | None = field(default=None, repr=False)
    init_port: int = 0

    @property
    def emergency_access(self) -> EmergencyAccess | None:
        """What people come in with; None for all images but those that have a server for it."""
        if self.facts.profile is not Profile.EMERGENCY:
            return None
        from node_agent.emergency_access import EmergencyAccess  # noqa: PLC0415 - hardly any image needs it

        return EmergencyAccess(self.settings.state / "constellation", self.settings.run)

    def let_people_in(self) -> None:
        """Start what an image for emergencies has for that; other images have nothing.

        Raises:
            PermanentError: it cannot be started.
        """
        if self.emergency_access is not None and self.emergency_access.open():
            self.reporter.note("people with a certificate of this cluster may come in by SSH")

    async def insist(self, call: Callable[[], Awaitable[_Result]]) -> _Result:
        """Call a part until it works; a part that says "try again" for too long is broken.

        Raises:
            PermanentError: it does not work.
        """
        return await insist(call, patience=PATIENCE, report=self.reporter.note)

    def addresses(self) -> tuple[str, ...]:
        """Give the addresses where peers reach this machine: those that metadata gave it, else those that it has.

        What DHCP gave is often the address of a private network between host and guest.
        """
        given = [str(address.ip) for card in self.metadata.network for address in card.addresses]
        return tuple(given or _outside())

    def look_at_self(self) -> SelfImage:
        """Judge our own evidence, as others will. The devices take their time: call it in a thread.

        Raises:
            PermanentError: there is none, or nobody could judge it.
        """
        from node_agent.self_image import look_at_self  # noqa: PLC0415 - brings all that judges

        return look_at_self(self.device, self.registers, facts=self.facts, image=self.image)

    def require_outside(self, networks: Iterable[IPv4Network]) -> None:
        """See that no address of this machine is one that the cluster has inside: its packets would be dropped.

        Raises:
            PermanentError: one is.
        """
        for address in map(IPv4Address, {*self.addresses(), *_outside()}):
            for network in networks:
                if address in network:
                    raise PermanentError(
                        f"this machine has the address {address}, inside the cluster's own network {network}",
                        hint="choose other addresses for pods and Services, or for machines",
                    )

    async def protect(self) -> None:
        """Let in what the node must, and nothing else, before it belongs to a cluster.

        Raises:
            PermanentError: the kernel does not take the rules.
        """
        await self.insist(lambda: self.parts.mesh.protect(None))

    async def prepare_disk(self) -> PreparedDisk:
        """Format the state disk under a throw-away key, and make the key of the mesh on it.

        Raises:
            PermanentError: the disk cannot be used.
        """
        disk = self.parts.disk
        uuid = await self.insist(disk.prepare)
        await self.insist(disk.mount)
        key = self.parts.mesh.load_or_make_key(self.settings.mesh_folder)
        self.reporter.note(f"state disk {uuid} is ready")
        host_key = self.emergency_access.host_key() if self.emergency_access is not None else ""
        return PreparedDisk(uuid, key.public_key().public_bytes_raw(), host_key)

    async def mark(self, keys: ClusterKeys, salt: bytes) -> bytes:
        """Mark this boot with its cluster. Whatever fails from now on, the next boot begins anew.

        Returns:
            The cluster ID, 32 bytes.

        Raises:
            PermanentError: the boot is marked already, or the TPM failed.
        """
        cluster_id = keys.cluster_id(salt)
        with foreign_errors("the mark"):
            self.marked = True
            await asyncio.to_thread(self.device.mark, cluster_id)
            self.reporter.know(registers=await asyncio.to_thread(self.device.registers))
        self.reporter.note(f"marked for cluster {cluster_id.hex()}")
        return cluster_id

    async def enter_mesh(self, membership: Membership, secret: Secret) -> None:
        """Bring up the mesh, behind rules that let nothing out beside it, and in it the way to the API.

        Where the administrator gave the API an address of their own, it leads where that leads.

        Args:
            membership: of the cluster.
            secret: the measurement secret.

        Raises:
            PermanentError: it does not come up.
        """
        mesh = self.parts.mesh
        key = mesh.load_or_make_key(self.settings.mesh_folder)
        pods, services = membership.pod_cidr, membership.service_cidr
        await self.insist(lambda: mesh.protect(pods, service_cidr=services))
        await self.insist(lambda: mesh.start(key=key, address=membership.mesh_address, secret=secret))
        await self.insist(lambda: mesh.set_peers(membership.peers))
        self.reporter.note(f"mesh: {membership.mesh_address}, {len(membership.peers)} peers")
        if membership.endpoint == API_ENDPOINT:
            served_here = membership.role is Role.CONTROL_PLANE
            await self.insist(lambda: mesh.lead_to_api(served_here=served_here))
        self.secret = secret

    async def set_up(
        self, call: Callable[[Report], Awaitable[_Result]], also: Callable[[str], None] | None = None
    ) -> _Result:
        """Let Kubernetes work, and tell its progress.

        Args:
            call: what it is to do.
            also: told the same progress.

        Raises:
            PermanentError: it does not work.
        """

        def report(line: str) -> None:
            self.reporter.note(line)
            if also is not None:
                also(line)

        return await self.insist(lambda: call(report))

    async def adopt(self, membership: Membership, keys: ClusterKeys) -> None:
        """Give the state disk to the cluster: from now on this machine comes back as its node. Once is enough.

        Raises:
            PermanentError: the disk fails.
        """
        if self.membership is not None:
            return
        with foreign_errors("the state disk"):
            membership.save(self.settings.state)
            await asyncio.to_thread(os.sync)  # whatever Kubernetes wrote is there when the disk says that it is
        await self.insist(lambda: self.parts.disk.adopt(keys.disk, membership.short_id))
        self.membership = membership
        self.let_people_in()
        self.reporter.note(f"the state disk is the cluster's: {membership.short_id}")

    def learn_peers(self, peers: Sequence[Peer]) -> None:
        """Keep the peers of the mesh for the next boot."""
        if self.membership is not None:
            self.membership = self.membership.with_peers(peers)
            self.membership.save(self.settings.state)


def _outside() -> list[str]:
    """Give the addresses of all interfaces that lead outside."""
    from node_agent.network.names import INSIDE  # noqa: PLC0415 - its package brings the whole mesh

    return [address for name, address in own_addresses().items() if name not in INSIDE]
