# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Local virtual machines: created, started, stopped, destroyed; each of it may be done twice.

A machine is a folder (`layout`) and, while it runs, a process of QEMU and one of swtpm, which nobody has to wait for.
Whatever was killed at whatever moment, `destroy` leaves neither file nor process.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Self

from constellation_engine.errors import MachineError, MachineExistsError, MachineNotFoundError, MachineSpecError
from constellation_engine.machines import console, power, processes
from constellation_engine.machines import folder as folders
from constellation_engine.machines.creation import change_image, check_place, fill
from constellation_engine.machines.layout import Layout
from constellation_engine.machines.spec import MachineSpec, Vtpm
from constellation_engine.machines.spec_file import from_json, read_spec, to_json

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path


class MachineState(Enum):
    """What a machine does."""

    RUNNING = "running"
    STOPPED = "stopped"
    STUCK = "stuck"
    """It is switched on and cannot go on: its TPM is gone, or the host's disk is full."""


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """What is known of a machine.

    Attributes:
        name: of the machine.
        state: what it does.
        process: id of QEMU; None where it is switched off.
        reason: why it is stuck; else empty.
    """

    name: str
    state: MachineState
    process: int | None = None
    reason: str = ""


def _nobody(_: str) -> None:
    pass


class Machine:
    """A machine.

    Args:
        folder: where it lives; its name is the machine's.
    """

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder.resolve())

    @property
    def name(self) -> str:
        """Name of the machine."""
        return self.layout.folder.name

    @classmethod
    def create(cls, folder: Path, spec: MachineSpec) -> Self:
        """Make a machine, switched off. If there is one of the same description already, it is that one.

        Args:
            folder: to make.
            spec: what it is made of.

        Raises:
            MachineSpecError: it cannot be made.
            MachineExistsError: there is one of another description.
            MissingProgramError: a program or firmware is not installed.
            TooLittleError: the state disk does not fit.
            MachineError: its folder cannot be written.
        """
        machine = cls(folder)
        check_place(machine.layout)
        if machine.layout.spec.exists():
            machine.require(spec)
            return machine
        try:
            with folders.new_folder(machine.layout.folder) as new:
                fill(Layout(new), machine.name, spec)
        except MachineExistsError:  # somebody was faster
            machine.require(spec)
        except OSError as error:
            hint = "is the disk full, or the folder not yours?"
            raise MachineError(f"{machine.layout.folder}: the machine cannot be made: {error}", hint=hint) from error
        return machine

    @property
    def spec(self) -> MachineSpec:
        """What it is made of; every forward has its port of the host.

        Raises:
            MachineNotFoundError: there is no machine.
            MachineSpecError: its description is damaged.
        """
        return read_spec(self.layout.spec)

    def require(self, spec: MachineSpec) -> None:
        """See that it is made of this.

        Args:
            spec: what is wanted; forwards without a port of the host agree with any.

        Raises:
            MachineExistsError: it is made of something else; says what differs.
            MachineNotFoundError: there is no machine.
            MachineSpecError: its description is damaged.
        """
        there = self.spec
        chosen = {item.name: item.host_port for item in there.forwards}
        wanted = from_json(to_json(spec.settled({item.name: chosen.get(item.name, 0) for item in spec.forwards})))
        different = [name for name in MachineSpec.__slots__ if getattr(wanted, name) != getattr(there, name)]
        if different:
            message = f"{self.layout.folder}: there is a machine of another description: {', '.join(different)}"
            raise MachineExistsError(message, hint="destroy it first, or choose another name")

    def start(self, report: Callable[[str], None] = _nobody) -> None:
        """Switch it on. It runs until it is stopped, however long the caller lives.

        Args:
            report: told what takes a moment.

        Raises:
            MachineNotFoundError: there is none.
            PortTakenError: somebody else listens on a port that it forwards.
            TooLittleError: it needs more memory than there is.
            MissingProgramError: a program is not installed, or this is no host for the variant.
            MachineFailedError: QEMU or swtpm does not start; with the end of its log.
        """
        with folders.locked(self.layout.folder):
            power.switch_on(self.layout, report)

    def stop(self, *, timeout: float = 0.0, report: Callable[[str], None] = _nobody) -> None:
        """Switch it off: cut the power, before which it may be asked (ACPI) to do it itself.

        Nothing in a node image listens to that button; its state survives a power cut.

        Args:
            timeout: seconds that it has; with 0 it is not asked.
            report: told what takes a moment.

        Raises:
            MachineNotFoundError: there is none.
            MachineError: it cannot be switched off.
        """
        if timeout > 0 and processes.running(self.layout.qemu):
            report(f"waiting up to {timeout:g} s until {self.name} switches itself off")
            with suppress(MachineError):  # whoever does not answer is not asked
                power.press_button(self.layout, timeout)
        with folders.locked(self.layout.folder):
            power.cut_power(self.layout)

    def reset(self, report: Callable[[str], None] = _nobody) -> None:
        """Cut the power and switch it on again. What it had not written to its disks is lost; its TPM starts anew.

        Args:
            report: told what takes a moment.

        Raises:
            MachineError: as `start`.
        """
        with folders.locked(self.layout.folder):
            power.cut_power(self.layout)
            power.switch_on(self.layout, report)

    def change_image(self, image: Path) -> None:
        """Let it boot another image from now on. Its state disk, its TPM and its metadata stay.

        Args:
            image: disk image, absolute.

        Raises:
            MachineNotFoundError: there is none.
            MachineSpecError: it is switched on, there is no such image, or its platform measures the image at launch.
            MachineError: its folder cannot be written.
        """
        with folders.locked(self.layout.folder):
            spec = replace(self.spec, image=image)
            if not isinstance(spec.platform, Vtpm):
                raise MachineSpecError(
                    f"{self.name}: expected a machine with a vTPM, it is one of {spec.platform.variant}",
                    hint="its description has the launch digest of its image: destroy it, and make it anew",
                )
            if processes.running(self.layout.qemu):
                raise MachineSpecError(f"{self.name}: expected a machine that is off, it runs", hint="stop it first")
            try:
                change_image(self.layout, spec)
            except OSError as error:
                raise MachineError(f"{self.layout.folder}: the image cannot be changed: {error}") from error

    def destroy(self) -> None:
        """Remove it, running or not, whole or not. If there is none, nothing happens.

        Raises:
            MachineError: a process of it cannot be ended, or the folder is no machine's.
        """
        folders.remove_leftovers(self.layout.folder)
        try:
            with folders.locked(self.layout.folder):
                if not self.layout.spec.exists():
                    raise MachineError(f"{self.layout.folder}: expected a machine, it is another folder")
                power.cut_power(self.layout)
                folders.remove(self.layout.folder)
        except MachineNotFoundError:
            power.cut_power(self.layout)  # somebody removed the folder of a machine that runs

    def status(self) -> MachineStatus:
        """Say what it does.

        Raises:
            MachineNotFoundError: there is none.
        """
        if not self.layout.spec.exists():
            raise MachineNotFoundError(f"{self.layout.folder}: expected a machine, there is none")
        found = processes.running(self.layout.qemu)
        if not found:
            return MachineStatus(self.name, MachineState.STOPPED)
        reason = power.why_stuck(self.layout)
        return MachineStatus(self.name, MachineState.STUCK if reason else MachineState.RUNNING, found[0], reason)

    def console_log(self) -> str:
        """Give everything that it wrote to its serial console, of all its boots; "" before the first."""
        try:
            return self.layout.console_log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def open_console(self) -> socket.socket:
        """Connect to its serial console, to read and to type.

        Raises:
            MachineError: it is switched off.
        """
        return console.open_console(self.layout.console_socket)

    def attach(self, *, keyboard: int, screen: int) -> None:
        """Sit down in front of its serial console, until it is switched off or Ctrl-] is typed.

        Args:
            keyboard: descriptor to read from.
            screen: descriptor to write to.

        Raises:
            MachineError: it is switched off.
        """
        console.attach(self.layout.console_socket, keyboard=keyboard, screen=screen)


def machines(folder: Path) -> tuple[Machine, ...]:
    """Give the machines in a folder, by name.

    Args:
        folder: whose folders are machines; one that does not exist has none.
    """
    found = sorted(file.parent for file in folder.glob("*/spec.json") if not file.parent.name.startswith("."))
    return tuple(Machine(place) for place in found)
