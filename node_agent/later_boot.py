# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Later boot: the disk belongs to a cluster, and somebody who knows its key has to open it.

A join service gives the key to the machine that it knows (rejoin). Where none is left, an administrator gives the key
material to control planes (recover). Whoever comes first:

1. The disk opens with the key, or the key is not its own.
2. What the disk remembers is the cluster whose keys these are (attack: a disk of another cluster, with its key).
3. After a rejoin the node has a new key in the mesh, and the join service has told its peers (`rotation`). It believes
   the ticket about who they are, and not its disk: an old record may have a key that is its node's no more (attack: a
   disk that was rolled back, and somebody with the old key of a peer).
4. The boot is marked: from here on, an error ends in another boot.
5. The mesh comes up. After a recovery there is no ticket, and the peers are those that the disk remembers: control
   planes that all stopped meet there.
6. The kubelet starts, and what init or join left undone is finished.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from constellation_core.channel.server import AttestedServer
from constellation_core.channel.turns import Turns
from constellation_core.keys.opening import open_provider
from constellation_core.roles import Role
from constellation_proto import join_pb2
from node_agent.errors import AgentError, PermanentError, TemporaryError
from node_agent.first_boot import PAUSE, REFUSED, ROUND, join_services
from node_agent.joining import ask_again
from node_agent.loops import background, words
from node_agent.membership import ClusterKeys, Membership, kept_kubeconfig, peers_of
from node_agent.phases import Phase
from node_agent.recover_server import RecoverService
from node_agent.rotation import renew_mesh_key
from node_agent.secret_guard import ATTEMPTS, SecretGuard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from constellation_core.keys.key_material import KeyMaterial
    from node_agent.machine import Machine
    from node_agent.parts import Peer

    Ask = Callable[[join_pb2.IssueRejoinTicketRequest], Awaitable[join_pb2.RejoinTicket]]
    """Asks join services until one gives a ticket."""

GRACE: Final = 2.0  # seconds in which the answer to a recovery goes out


class LaterBoot:
    """A machine whose disk belongs to a cluster.

    Args:
        machine: this one.
        disk: LUKS UUID of its disk, by its header's word.
    """

    def __init__(self, machine: Machine, disk: UUID) -> None:
        self._machine = machine
        self._disk = disk
        self._turn = asyncio.Lock()
        self._waits = f"disk {disk} waits for a join service"
        self._attempts: set[asyncio.Task[None]] = set()
        self._unlocked: asyncio.Future[tuple[Membership, ClusterKeys]] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Wait until the disk is open, and be the node that it is.

        Raises:
            PermanentError: that does not work; whether the boot is marked says what that means.
        """
        machine = self._machine
        server = await self._listen() if machine.metadata.role is Role.CONTROL_PLANE else None
        await machine.protect()
        if server is not None:
            self._waits += f", or for recovery on port {server.port}"
        machine.reporter.enter(Phase.LOCKED, self._waits)
        try:
            async with background(self._rejoin()) as rejoining:
                rejoining.add_done_callback(self._give_up)
                membership, keys = await self._unlocked
        finally:
            if server is not None:
                await server.drain(GRACE)
        await self._start(membership, keys)

    async def _start(self, membership: Membership, keys: ClusterKeys) -> None:
        machine = self._machine
        machine.membership = membership
        machine.reporter.enter(Phase.STARTING_KUBERNETES, f"node {membership.name} of cluster {membership.short_id}")
        await machine.enter_mesh(membership, keys.measurement)  # 5
        machine.let_people_in()
        await machine.set_up(machine.parts.kubernetes.start_kubelet)  # 6

    async def _listen(self) -> AttestedServer:
        machine = self._machine
        known = machine.metadata.recovery_secret_hash
        service = RecoverService(SecretGuard(known) if known else None, Turns(ATTEMPTS), self._recover)
        server = AttestedServer([service], issuer=machine.device, image=machine.image.signed, turns=Turns())
        await server.start(machine.settings.host, machine.settings.recover_port)
        return server

    async def _recover(self, material: KeyMaterial) -> bytes:
        """Open the disk with what an administrator gave; give the kubeconfig that is on it, if there is one."""
        async with open_provider(material) as provider:
            keys = await ClusterKeys.derive(provider, self._disk, None)
        # An administrator who hangs up must not leave a disk that is half open, or a mark and no node.
        attempt = asyncio.create_task(self._unlock(keys))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        await asyncio.shield(attempt)
        return kept_kubeconfig(self._machine.settings.state)

    async def _rejoin(self) -> None:
        """Ask join services until one gives the key."""
        machine = self._machine
        itself = await asyncio.to_thread(machine.look_at_self)
        while not self._unlocked.done():
            services = await join_services(machine)
            if not services:
                await asyncio.sleep(PAUSE)
                continue
            try:
                ask = partial(
                    ask_again,
                    services,
                    verifier=itself.verifier(machine.image),
                    issuer=machine.device,
                    timeout=ROUND,
                    progress=machine.reporter.note,
                )
                ticket = await ask(join_pb2.IssueRejoinTicketRequest(disk_uuid=str(self._disk)))
                await self._unlock(ClusterKeys.of_ticket(ticket), partial(self._renew, ask, ticket))
            except TemporaryError as error:
                machine.reporter.note(words(error))
            except PermanentError as error:
                if machine.marked:
                    raise
                machine.reporter.note(words(error))
                await asyncio.sleep(REFUSED)

    def _give_up(self, rejoining: asyncio.Task[None]) -> None:
        """End with the search for a join service, where that failed for good."""
        error = None if rejoining.cancelled() else rejoining.exception()
        if error is not None and not self._unlocked.done():
            self._unlocked.set_exception(error)

    async def _renew(self, ask: Ask, ticket: join_pb2.RejoinTicket) -> tuple[Peer, ...]:
        """Change the key of the mesh; give the peers that the newer of two tickets names."""
        machine = self._machine
        disk, addresses = str(self._disk), machine.addresses()

        async def announce(key: bytes) -> join_pb2.RejoinTicket:
            return await ask(
                join_pb2.IssueRejoinTicketRequest(disk_uuid=disk, wireguard_public_key=key, addresses=addresses)
            )

        renewed = await renew_mesh_key(machine.settings.mesh_folder, announce, machine.reporter.note)
        return peers_of((renewed or ticket).mesh_peers)

    async def _unlock(self, keys: ClusterKeys, renew: Callable[[], Awaitable[tuple[Peer, ...]]] | None = None) -> None:
        """Open the disk, if nobody has done so before with the same key.

        Args:
            keys: of the cluster, and of the disk.
            renew: changes the key of the mesh on the open disk, and gives the peers; None without a join service.
        """
        async with self._turn:
            if self._unlocked.done():
                _, used = await self._unlocked
                if used.disk != keys.disk:
                    raise PermanentError("the disk is open, and this is not its key")
                return
            machine = self._machine
            machine.reporter.enter(Phase.UNLOCKING, f"disk {self._disk}")
            try:
                membership = await self._open(keys)
                if renew is not None:
                    membership = membership.with_peers(await renew())  # 3
                await machine.mark(keys, membership.measurement_salt)  # 4
            except Exception as error:
                if machine.marked:
                    self._unlocked.set_exception(error)
                    raise
                machine.reporter.note(words(error) if isinstance(error, AgentError) else repr(error))
                await machine.parts.disk.close()
                machine.reporter.enter(Phase.LOCKED, self._waits)
                raise
            self._unlocked.set_result((membership, keys))

    async def _open(self, keys: ClusterKeys) -> Membership:
        machine, disk = self._machine, self._machine.parts.disk
        await machine.insist(lambda: disk.open(keys.disk))  # 1
        await machine.insist(disk.mount)
        membership = Membership.load(machine.settings.state)
        salt = keys.salt if keys.salt is not None else membership.measurement_salt
        if keys.cluster_id(salt) != membership.cluster_id:  # 2
            raise PermanentError("the keys are those of another cluster than the disk's")
        try:
            await machine.insist(disk.grow)
        except PermanentError as error:  # it has as much room as before
            machine.reporter.note(f"the disk does not grow: {words(error)}")
        return membership
