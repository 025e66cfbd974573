# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""First boot: the disk is prepared while the node waits for init, or for a join service that lets it in.

1. Only control planes wait for init, on a disk that no cluster has adopted, in a boot without a mark.
2. Whatever comes first wins, once: an accepted Init ends the search for a cluster, a ticket ends the waiting for Init.
3. What fails before the mark leaves everything as it was, and the node waits on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_core.channel.server import AttestedServer
from constellation_core.channel.turns import Turns
from constellation_core.roles import Role
from node_agent.errors import AgentError, PermanentError, TemporaryError
from node_agent.init_request import read_order
from node_agent.init_server import InitService
from node_agent.initialize import initialize
from node_agent.joining import JoinRequest, Service, ask_for_ticket
from node_agent.loops import background, words
from node_agent.phases import Phase
from node_agent.secret_guard import SecretGuard
from node_agent.ticket import join

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from constellation_proto import join_pb2
    from node_agent.init_run import InitRun
    from node_agent.machine import Machine, PreparedDisk
    from node_agent.self_image import SelfImage

ROUND: Final = 60.0  # seconds after which metadata is read again: peers come and go
PAUSE: Final = 5.0  # seconds between two looks where metadata names no control plane
REFUSED: Final = 20.0  # seconds after a refusal: a person may approve this machine, or its image
GRACE: Final = 2.0  # seconds in which the last answer goes out
JOINED: Final = "this node has found a cluster and joins it"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A ticket, and what was asked for."""

    request: JoinRequest
    ticket: join_pb2.Ticket


class FirstBoot:
    """A machine that belongs to nobody yet.

    Args:
        machine: this one.
        afterwards: where what outlives the first boot is closed.
    """

    def __init__(self, machine: Machine, afterwards: AsyncExitStack) -> None:
        self._machine = machine
        self._afterwards = afterwards
        self._begun: asyncio.Queue[InitRun] = asyncio.Queue()
        self._service = InitService(SecretGuard(machine.metadata.init_secret_hash), self._begun.put_nowait)
        self._server: AttestedServer | None = None
        self._patience = machine.settings.linger

    async def run(self) -> None:
        """Wait until the machine is a node.

        Raises:
            PermanentError: it cannot become one; whether the boot is marked says what that means.
        """
        machine = self._machine
        if machine.metadata.role is Role.CONTROL_PLANE:
            await self._listen()
        await machine.protect()
        self._say_what_we_wait_for()
        async with background(machine.prepare_disk()) as disk, background(self._look()) as itself:
            while not await self._try(disk, itself):
                self._say_what_we_wait_for()
        if self._server is not None:
            closing = _close_later(self._server, self._service.acknowledged, self._patience)
            await self._afterwards.enter_async_context(background(closing))

    async def _try(self, disk: asyncio.Task[PreparedDisk], itself: asyncio.Task[SelfImage]) -> bool:
        """Become a node by what comes first; tell whether that worked."""
        async with background(self._begun.get()) as begun, background(self._invited(disk, itself)) as invited:
            done, _ = await asyncio.wait({begun, invited}, return_when=asyncio.FIRST_COMPLETED)
            if begun not in done:
                return await self._join(invited.result())
        return await self._initialize(begun.result(), disk, itself)

    async def _listen(self) -> None:
        machine = self._machine
        server = AttestedServer([self._service], issuer=machine.device, image=machine.image.signed, turns=Turns())
        await server.start(machine.settings.host, machine.settings.init_port)
        self._afterwards.push_async_callback(server.drain, GRACE)
        self._server = server
        machine.init_port = server.port

    def _say_what_we_wait_for(self) -> None:
        machine = self._machine
        for_init = f"init on port {machine.init_port}" if machine.init_port else ""
        ways = [way for way in (for_init, "a cluster that lets this machine in") if way]
        alone = bool(for_init) and not machine.metadata.join_services
        no_secret = alone and not machine.metadata.init_secret_hash
        hint = "metadata has no init_secret_hash, so nobody can initialise this node" if no_secret else ""
        machine.reporter.enter(Phase.WAITING, f"for {', or for '.join(ways)}", hint=hint)

    async def _look(self) -> SelfImage:
        machine = self._machine
        itself = await asyncio.to_thread(machine.look_at_self)
        for difference in itself.differences:
            machine.reporter.note(f"the boot is not what the image's manifest says: {difference}")
        return itself

    async def _initialize(
        self, run: InitRun, disk: asyncio.Task[PreparedDisk], itself: asyncio.Task[SelfImage]
    ) -> bool:
        """Initialise; False where that failed and nothing has happened."""
        machine = self._machine
        if run.over:  # it began in the very moment in which this node tried to join
            return False
        try:
            brought = machine.image.manifest.components if machine.image.manifest is not None else ()
            order = read_order(run.request, kubernetes=machine.facts.kubernetes, components=brought)
            run.request.ClearField("key_material")  # there is no second copy of it while the run is remembered
            machine.reporter.enter(Phase.INITIALIZING, f"cluster {order.cluster_name}")
            run.phase("disk")
            prepared, own = await disk, await itself
            run.phase("disk", finished=True)
            run.finish(await initialize(machine, prepared, order, itself=own, run=run))
        except AgentError as error:
            self._service.fail(run, error, lasting=machine.marked)
            if machine.marked or (disk.done() and disk.exception() is not None):
                raise
            machine.reporter.note(words(error))
            return False
        finally:
            if not run.over:
                run.fail(PermanentError("this node failed"))
        return True

    async def _join(self, invitation: Invitation) -> bool:
        """Join; False where that failed and nothing has happened."""
        machine = self._machine
        self._service.close(JOINED)
        machine.reporter.enter(Phase.JOINING, "has a ticket")
        try:
            await join(machine, invitation.request, invitation.ticket)
        except AgentError as error:
            if machine.marked:
                raise
            machine.reporter.note(words(error))
            await asyncio.sleep(REFUSED)
            self._service.open()
            return False
        self._patience = 0.0
        return True

    async def _invited(self, disk: asyncio.Task[PreparedDisk], itself: asyncio.Task[SelfImage]) -> Invitation:
        """Ask join services until one gives a ticket."""
        machine = self._machine
        prepared, own = await asyncio.shield(disk), await asyncio.shield(itself)
        request = JoinRequest.new(
            machine.metadata.name,
            machine.metadata.role.to_message(),
            disk=str(prepared.uuid),
            wireguard_public_key=prepared.public_key,
            host_key=prepared.host_key,
            addresses=machine.addresses(),
        )
        while True:
            services = await join_services(machine)
            if not services:
                await asyncio.sleep(PAUSE)
                continue
            try:
                ticket = await ask_for_ticket(
                    services,
                    request,
                    verifier=own.verifier(machine.image),
                    issuer=machine.device,
                    timeout=ROUND,
                    progress=machine.reporter.note,
                )
            except TemporaryError as error:
                machine.reporter.note(str(error))
            except PermanentError as error:
                machine.reporter.note(words(error))
                await asyncio.sleep(REFUSED)
            else:
                return Invitation(request, ticket)


async def _close_later(server: AttestedServer, acknowledged: asyncio.Event, patience: float) -> None:
    """Close the init server when the answer is in safe hands, or whoever lost the connection has had time to come back.

    That a connection ended says neither: who was interrupted closes it as properly as who has written the answer down.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await acknowledged.wait()
    await server.drain(GRACE)


async def join_services(machine: Machine) -> list[Service]:
    """Read in the metadata where join services may be by now."""
    try:
        metadata = await machine.source.read()
    except AgentError as error:
        machine.reporter.note(f"metadata: {error}")
        metadata = machine.metadata
    return [Service(host, machine.settings.join_port) for host in metadata.join_services]
