# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A join service that derives real keys, knows who holds which disk, and lies when told to.

service = FakeJoinService(master, salt)
service.change = lambda ticket: setattr(ticket, "mesh_address", "nowhere")
async with service.listening() as port:
...
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grpclib import GRPCError, Status

from attestation.issuer import Devices, issuer_for
from attestation.policy import Policy
from attestation.testing.tpm import SoftwareTpm
from attestation.variant import Variant
from constellation_core.channel.http2 import current_peer
from constellation_core.channel.server import AttestedServer
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.keys.derivation import MEASUREMENT_SECRET, SSH_AUTHORITY, derive, state_disk
from constellation_core.keys.secret import Secret
from constellation_core.ssh_authority import SshAuthority
from constellation_proto import join_pb2
from constellation_proto.join_grpc import JoinBase
from node_agent.testing.machine import COMPONENTS, KUBERNETES, MEASUREMENTS
from node_agent.testing.moments import Moments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from grpclib.server import Stream

    from constellation_core.keys.master_secret import MasterSecret


@dataclass(slots=True)
class FakeJoinService(JoinBase):
    """Lets machines in.

    Attributes:
        master: the cluster's master secret.
        salt: its measurement salt.
        holders: disk → identity of the machine that asked for it first.
        tickets: what it was asked for, in order.
        rejoins: for which disks it was asked again.
        mesh_keys: disk → key in the mesh, as it tells peers.
        addresses: where a node says that it is reached, since it changed its key last.
        keeps_keys: whether it is of a release that changes none.
        moments: "service.new_key" before it takes a new one, "service.new_key done" after that.
        refusals: what it answers first, instead of tickets.
        change: breaks a ticket.
        measurements: what its own machine has booted.
        accepted: which machines it lets in.
    """

    master: MasterSecret
    salt: bytes
    holders: dict[str, bytes | None] = field(default_factory=dict)
    tickets: list[join_pb2.IssueTicketRequest] = field(default_factory=list)
    rejoins: list[str] = field(default_factory=list)
    mesh_keys: dict[str, bytes] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    keeps_keys: bool = False
    moments: Moments = field(default_factory=Moments)
    refusals: list[GRPCError] = field(default_factory=list)
    change: Callable[[Any], None] = field(default=lambda _ticket: None)
    measurements: dict[str, Any] = field(default_factory=lambda: MEASUREMENTS)
    accepted: dict[str, Any] = field(default_factory=lambda: MEASUREMENTS)

    @property
    def cluster_id(self) -> bytes:
        """What its nodes are marked with."""
        return self.master.cluster_id(self.salt)

    async def IssueTicket(self, stream: Stream[join_pb2.IssueTicketRequest, join_pb2.Ticket]) -> None:  # noqa: N802
        """Let a machine in."""
        request = await stream.recv_message() or join_pb2.IssueTicketRequest()
        self.tickets.append(request)
        self._check(request.disk_uuid, first=True)
        self.mesh_keys[request.disk_uuid] = request.wireguard_public_key
        ticket = join_pb2.Ticket(
            state_disk_key=self._key(state_disk(request.disk_uuid)),
            measurement_secret=self._key(MEASUREMENT_SECRET),
            measurement_salt=self.salt,
            kubelet_certificate=b"-----BEGIN CERTIFICATE-----",
            api_endpoint="127.0.0.1:6443",
            bootstrap_token="abcdef.0123456789abcdef",  # noqa: S106 - opens nothing
            ca_hash=f"sha256:{'ab' * 32}",
            kubernetes_version=KUBERNETES,
            components=[join_pb2.Component(**component) for component in COMPONENTS],
            mesh_address="10.213.1.2",
            mesh_peers=[PEER],
            pod_cidr="10.244.0.0/16",
            service_cidr="10.96.0.0/12",
        )
        if request.role == join_pb2.ROLE_CONTROL_PLANE:
            ticket.control_plane_files.add(path="pki/ca.key", content=b"a key")
        if request.host_key:
            authority = SshAuthority(Secret(self._key(SSH_AUTHORITY)))
            ticket.ssh_authority = authority.public_key
            ticket.host_certificate = authority.certify_host(request.host_key, principals=["worker-0", "10.213.1.2"])
        self.change(ticket)
        await stream.send_message(ticket)

    async def IssueRejoinTicket(  # noqa: N802 - as the .proto file says
        self, stream: Stream[join_pb2.IssueRejoinTicketRequest, join_pb2.RejoinTicket]
    ) -> None:
        """Let it open its disk again."""
        request = await stream.recv_message() or join_pb2.IssueRejoinTicketRequest()
        self.rejoins.append(request.disk_uuid)
        self._check(request.disk_uuid, first=False)
        if request.wireguard_public_key and not self.keeps_keys:
            await self.moments.come("service.new_key")
            self.mesh_keys[request.disk_uuid] = request.wireguard_public_key
            self.addresses = list(request.addresses)
            await self.moments.come("service.new_key done")
        ticket = join_pb2.RejoinTicket(
            state_disk_key=self._key(state_disk(request.disk_uuid)),
            measurement_secret=self._key(MEASUREMENT_SECRET),
            measurement_salt=self.salt,
            mesh_address="10.213.1.2",
            mesh_peers=[PEER],
            wireguard_public_key=self.mesh_keys.get(request.disk_uuid, b""),
        )
        self.change(ticket)
        await stream.send_message(ticket)

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Run on a machine of its own.

        Args:
            port: to listen on; 0 for any.

        Yields:
            The port.
        """
        tpm = SoftwareTpm()
        tpm.pcrs |= {int(register): bytes.fromhex(value["expected"]) for register, value in self.measurements.items()}
        tpm.event(15, b"its own mark")
        policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": self.accepted})
        issuer = issuer_for(Variant.QEMU_VTPM, Devices(tpm=tpm))
        server = AttestedServer([self], issuer=issuer, verifier=PolicyVerifier(policies=[policy]))
        await server.start("127.0.0.1", port)
        try:
            yield server.port
        finally:
            await server.close()
            await asyncio.sleep(0)

    def _check(self, disk: str, *, first: bool) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        verdict = current_peer().verdict
        identity = verdict.identity if verdict is not None else None
        if first:
            self.holders.setdefault(disk, identity)
        if self.holders.get(disk) != identity:
            raise GRPCError(Status.PERMISSION_DENIED, f"disk {disk} belongs to another machine")

    def _key(self, key_id: str) -> bytes:
        return derive(self.master.secret, self.master.salt, key_id).reveal()


PEER = join_pb2.MeshPeer(
    node="control-9", wireguard_public_key=bytes(range(32)), mesh_address="10.213.1.9", addresses=["127.0.0.1"]
)
