# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A guest of a hypervisor: a machine that its host's service manager starts, at every boot of the host.

    guest = Guest(Path("/var/lib/constellation/guests/worker-0"), Systemd())
    guest.check(spec)
    before, after = guest.situation(), guest.wanted(GuestState.STARTED)
    if before != after:
        guest.bring(GuestState.STARTED, spec)

Without a service manager the machine runs by itself, until somebody stops it or the host goes down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from constellation_engine.errors import MachineNotFoundError
from constellation_engine.machines.creation import check_place
from constellation_engine.machines.machine import Machine, MachineState
from constellation_engine.machines.systemd import unit_name, unit_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from constellation_engine.machines.spec import MachineSpec
    from constellation_engine.machines.systemd import Systemd


class GuestState(StrEnum):
    """What a guest shall be."""

    STARTED = "started"
    STOPPED = "stopped"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a guest is, or is to be.

    Attributes:
        power: "running", "stopped", "stuck: …" or "absent".
        unit: text of its unit; "" for none.
        enabled: whether it starts with its host.
    """

    power: str
    unit: str = ""
    enabled: bool = False

    def __str__(self) -> str:
        """Give it in lines, for people."""
        lines = [f"guest: {self.power}", f"starts with its host: {'yes' if self.enabled else 'no'}"]
        return "\n".join((*lines, self.unit)).rstrip() + "\n"


def _nobody(_: str) -> None:
    pass


class Guest:
    """A guest.

    Args:
        folder: where its machine lives; its name is the guest's.
        manager: of the host's services; None for none.
    """

    def __init__(self, folder: Path, manager: Systemd | None = None) -> None:
        self.machine = Machine(folder)
        self._manager = manager
        self._unit = unit_name(self.machine.name)

    def situation(self) -> Situation:
        """Look at it. Nothing is changed."""
        try:
            status = self.machine.status()
        except MachineNotFoundError:
            return self._with_unit("absent")
        stuck = status.state is MachineState.STUCK
        return self._with_unit(f"stuck: {status.reason}" if stuck else status.state.value)

    def wanted(self, state: GuestState) -> Situation:
        """Say what it is to be.

        Raises:
            MachineSpecError: no unit can be made for its folder.
        """
        if state is GuestState.ABSENT:
            return Situation(power="absent")
        starts = state is GuestState.STARTED
        unit = unit_text(self.machine.layout.folder) if self._manager else ""
        power = MachineState.RUNNING if starts else MachineState.STOPPED
        return Situation(power=power.value, unit=unit, enabled=starts and self._manager is not None)

    def check(self, spec: MachineSpec) -> None:
        """See that it can be made, or is there and is made of this.

        Raises:
            MachineSpecError: it cannot be made.
            MachineExistsError: there is one of another description, or something else.
        """
        check_place(self.machine.layout)
        if self.machine.layout.spec.exists():
            self.machine.require(spec)

    def bring(self, state: GuestState, spec: MachineSpec | None, report: Callable[[str], None] = _nobody) -> None:
        """Make it what it is to be.

        Args:
            state: which.
            spec: what it is made of; None where it is to be absent.
            report: told what takes a moment.

        Raises:
            MachineError: it cannot be made, started or stopped; the host's services can be asked why.
        """
        if state is GuestState.ABSENT or spec is None:
            self._remove()
            return
        machine = Machine.create(self.machine.layout.folder, spec)
        wanted = self.wanted(state)
        if self._manager and self._manager.read(self._unit) != wanted.unit:
            self._manager.write(self._unit, wanted.unit)
        if state is GuestState.STARTED:
            self._start(machine, report)
        else:
            self._stop(machine)

    def _start(self, machine: Machine, report: Callable[[str], None]) -> None:
        if machine.status().state is MachineState.STUCK:
            machine.stop()
        if self._manager:
            self._manager.start(self._unit)
        else:
            machine.start(report)

    def _stop(self, machine: Machine) -> None:
        if self._manager:
            self._manager.stop(self._unit)
        machine.stop()

    def _remove(self) -> None:
        if self._manager:
            self._manager.remove(self._unit)
        self.machine.destroy()

    def _with_unit(self, power: str) -> Situation:
        if not self._manager:
            return Situation(power=power)
        unit = self._manager.read(self._unit)
        enabled = bool(unit) and self._manager.is_enabled(self._unit)
        return Situation(power=power, unit=unit, enabled=enabled)
