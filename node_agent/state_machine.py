# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The life of a node (design, section 2), from power-on to serving.

    start → evidence? → lock state (register 15)
      zero: state disk adopted?  no  → first boot: init ∥ join
                                 yes → later boot: rejoin ∥ recover
      set:  this boot belongs to a cluster → go on, if the agent before this one said with which secret

What cannot go on before the mark waits, says why, and touches nothing. What cannot go on after it says why, forgets all
keys, and boots again. There is never a prompt.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Final

from attestation.errors import AttestationError
from constellation_core.keys.derivation import cluster_id
from constellation_core.roles import Role
from node_agent.addresses import own_addresses, set_addresses
from node_agent.errors import AgentError, PermanentError, TemporaryError
from node_agent.image import ImageFacts, Profile, TrustedImage, take_manifest
from node_agent.loops import background, insist, words
from node_agent.machine import Assembly, Machine
from node_agent.membership import Membership
from node_agent.metadata.record import Metadata
from node_agent.parts import DiskKind
from node_agent.phases import Phase
from node_agent.succession import take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from constellation_core.keys.secret import Secret
    from node_agent.device import NodeDevice
    from node_agent.parts import Peer
    from node_agent.reporter import Reporter
    from node_agent.settings import Settings

_LOG: Final = logging.getLogger(__name__)

FOLLOW_AGAIN: Final = 5.0  # seconds until the cluster is asked again who is in it
LOOK_AGAIN: Final = 3.0  # seconds between two looks at our own addresses
WIPE: Final = 20.0  # seconds to close what holds keys
POWER_OFF: Final = "power the machine off, and change what is wrong"


class StateMachine:
    """One node.

    Args:
        settings: of the agent.
        reporter: tells what happens.
        assembly: makes what is steered.
    """

    def __init__(self, settings: Settings, reporter: Reporter, assembly: Assembly) -> None:
        self._settings = settings
        self._reporter = reporter
        self._assembly = assembly
        self._machine: Machine | None = None

    @property
    def peers(self) -> int:
        """How many nodes the mesh speaks with, as far as its disk remembers."""
        membership = self._machine.membership if self._machine is not None else None
        return len(membership.peers) if membership is not None else 0

    async def run(self) -> Secret:
        """Live until cancelled, or until this is a node that serves and has settled.

        Returns:
            What a smaller agent needs to go on with.
        """
        async with AsyncExitStack() as afterwards, background(self._watch_addresses()):
            try:
                if self._settings.inherited >= 0:
                    await self._succeed()
                return await self._live(afterwards)
            except AgentError as error:
                await self._end(error, afterwards)
            except Exception as error:  # noqa: BLE001 - whatever it was, a marked boot must not go on with it
                _LOG.exception("this should not happen")
                strange = PermanentError(f"{type(error).__name__}: {error}", hint="please report this")
                await self._end(strange, afterwards)

    async def _live(self, afterwards: AsyncExitStack) -> Secret:
        machine = self._machine = await self._look_around()
        async with background(machine.parts.mesh.watch_api()):
            if machine.marked:
                raise PermanentError("this boot belongs to a cluster, and its keys went with the agent that had them")
            await self._begin(machine, afterwards)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.settling):
                    await self._serve(machine)
        self._reporter.note("this node has settled: a smaller agent follows")
        if machine.secret is None:
            raise PermanentError("this node has no mesh")
        return machine.secret

    async def _succeed(self) -> NoReturn:
        """Be the node that the agent before this one made of this machine. Its disk says which; metadata is history."""
        settings, reporter = self._settings, self._reporter
        secret = take_over(settings.inherited)
        reporter.go_on()
        facts, membership = ImageFacts.read(settings.image), Membership.load(settings.state)
        if cluster_id(secret, membership.measurement_salt) != membership.cluster_id:
            raise PermanentError("what the agent before this one left belongs to another cluster than the disk")
        reporter.know(image=facts.title, variant=facts.variant.value, debug=facts.profile is Profile.DEBUG)
        metadata = Metadata(name=membership.name, role=membership.role)
        machine = self._machine = Machine(
            settings=settings,
            facts=facts,
            image=TrustedImage(""),  # it judges nobody any more
            device=self._assembly.device(facts),
            registers={},
            metadata=metadata,
            source=self._assembly.source(facts),
            parts=self._assembly.parts(facts, metadata),
            reporter=reporter,
            marked=True,
            membership=membership,
        )
        async with background(machine.parts.mesh.watch_api()):
            await machine.enter_mesh(membership, secret)
            await self._serve(machine)

    async def _look_around(self) -> Machine:
        """Find out what this machine is, what it booted, and who it is to be."""
        settings, reporter = self._settings, self._reporter
        warming = asyncio.create_task(asyncio.to_thread(importlib.import_module, "node_agent.first_boot"))
        facts = ImageFacts.read(settings.image)
        reporter.know(image=facts.title, variant=facts.variant.value, debug=facts.profile is Profile.DEBUG)
        reporter.enter(Phase.STARTING, "looking for the device that speaks for this machine")
        device = self._assembly.device(facts)
        registers = await self._registers(device)
        reporter.know(registers=registers)
        reporter.enter(Phase.METADATA, "who is this machine to be?")
        image, source = await self._image(facts), self._assembly.source(facts)
        metadata = await insist(source.read, patience=float("inf"), report=reporter.note)
        reporter.know(node=metadata.name, role=metadata.role.value)
        await self._take_addresses(metadata)
        await warming
        return Machine(
            settings=settings,
            facts=facts,
            image=image,
            device=device,
            registers=registers,
            metadata=metadata,
            source=source,
            parts=self._assembly.parts(facts, metadata),
            reporter=reporter,
            marked=device.marked(registers),
        )

    async def _registers(self, device: NodeDevice) -> dict[int, bytes]:
        """Wait for the device, and read what booted."""

        async def read() -> dict[int, bytes]:
            try:
                return await asyncio.to_thread(device.registers)
            except AttestationError as error:
                raise TemporaryError(str(error), hint=error.hint) from None

        return await insist(read, patience=self._settings.device_patience, report=self._reporter.note)

    async def _image(self, facts: ImageFacts) -> TrustedImage:
        settings = self._settings

        async def take() -> TrustedImage:
            return await asyncio.to_thread(take_manifest, facts, settings.image, settings.esp, settings.image_copy)

        image = await insist(take, patience=settings.device_patience, report=self._reporter.note)
        if image.signed is None:
            self._reporter.note("nobody has signed the measurements of this image")
        return image

    async def _take_addresses(self, metadata: Metadata) -> None:
        if metadata.network:
            await insist(
                lambda: set_addresses(metadata.network, self._settings.networks),
                patience=self._settings.device_patience,
                report=self._reporter.note,
            )
        self._reporter.know(addresses=own_addresses())

    async def _begin(self, machine: Machine, afterwards: AsyncExitStack) -> None:
        """Become a node, or become it again."""
        state = await machine.insist(machine.parts.disk.examine)
        if state.kind is DiskKind.FOREIGN:
            raise PermanentError(
                f"the state disk is not ours: {state.reason}", hint="attach an empty disk: this one is left as it is"
            )
        if state.kind.may_be_formatted:
            from node_agent.first_boot import FirstBoot  # noqa: PLC0415 - a node has few of these boots

            await FirstBoot(machine, afterwards).run()
        elif (disk := state.uuid) is not None:
            from node_agent.later_boot import LaterBoot  # noqa: PLC0415 - and many of those

            await LaterBoot(machine, disk).run()

    async def _serve(self, machine: Machine) -> NoReturn:
        """Be a node of the cluster: keep the mesh as the cluster wants it."""
        membership = machine.membership
        if membership is None:
            raise PermanentError("this node does not know its cluster")
        reason = f"node of cluster {membership.short_id}"
        self._reporter.know(node=membership.name, role=membership.role.value, addresses=own_addresses(), reason=reason)
        if self._reporter.phase is Phase.SERVING:
            self._reporter.note("a smaller agent serves")
        else:
            self._reporter.enter(Phase.SERVING, reason)
        news = asyncio.Event()

        def learn(peers: Sequence[Peer]) -> None:
            machine.learn_peers(peers)
            news.set()

        async with AsyncExitStack() as keeping:
            if membership.role is Role.CONTROL_PLANE:
                keep = machine.parts.kubernetes.keep_members(membership.mesh_address, news)
                await keeping.enter_async_context(background(keep))
            await self._follow(machine, learn)

    async def _follow(self, machine: Machine, learn: Callable[[Sequence[Peer]], None]) -> NoReturn:
        while True:
            try:
                await machine.parts.mesh.follow(self._settings.kubelet, learn)
            except Exception as error:  # noqa: BLE001 - what protects is in the kernel: a node that serves goes on
                told = words(error) if isinstance(error, AgentError) else f"{type(error).__name__}: {error}"
                self._reporter.note(f"mesh: {told}")
            await asyncio.sleep(FOLLOW_AGAIN)

    async def _watch_addresses(self) -> None:
        """Show addresses that come later, as those of DHCP do."""
        while self._reporter.phase is not Phase.SERVING:
            await asyncio.sleep(LOOK_AGAIN)
            if (addresses := own_addresses()) != self._reporter.view.addresses:
                self._reporter.know(addresses=addresses)
                shown = " · ".join(f"{name} {address}" for name, address in addresses.items())
                self._reporter.note(f"addresses: {shown}")

    async def _end(self, error: AgentError, afterwards: AsyncExitStack) -> NoReturn:
        """Say why it does not go on: wait for people, or forget all keys and boot again."""
        machine = self._machine
        if machine is None and self._settings.inherited >= 0:
            raise error  # the service manager boots again when the agent fails
        if machine is None or not machine.marked:
            self._reporter.enter(Phase.FAILED, str(error), hint=error.hint or POWER_OFF)
            await afterwards.aclose()
            await _for_ever()
        self._reporter.enter(Phase.REBOOTING, str(error), hint=error.hint)
        for forget in (machine.parts.mesh.close, machine.parts.disk.close):
            try:
                async with asyncio.timeout(WIPE):
                    await forget()
            except (AgentError, TimeoutError, OSError) as trouble:  # the boot that follows forgets the rest
                self._reporter.note(f"{type(trouble).__name__}: {trouble}")
        await asyncio.sleep(self._settings.reading_time)
        await afterwards.aclose()
        await machine.parts.power.reboot()
        await _for_ever()


async def _for_ever() -> NoReturn:
    while True:
        await asyncio.Event().wait()
