# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Local virtual machines: created, started, stopped, destroyed; each of it may be done twice.

A machine is a folder (`layout`) and, while it runs, a process of QEMU and one of swtpm, which nobody has to wait for.
Whatever was killed at whatever moment, `destroy` leaves neither file nor process.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from constellation_engine.errors import (
    MachineError,
    MachineExistsError,
    MachineFailedError,
    MachineNotFoundError,
    MachineSpecError,
    MissingProgramError,
)
from constellation_engine.machines import console, processes
from constellation_engine.machines import folder as folders
from constellation_engine.machines.acceleration import Accelerator, probe_kvm
from constellation_engine.machines.config_drive import config_drive
from constellation_engine.machines.disks import make_overlay, make_state_disk
from constellation_engine.machines.firmware import find_ovmf, find_snp_ovmf, firmware_of
from constellation_engine.machines.host import check_memory, check_ports, choose_ports
from constellation_engine.machines.layout import Layout
from constellation_engine.machines.programs import QEMU, find_program, tail
from constellation_engine.machines.qemu import Launch, command_line
from constellation_engine.machines.qmp import Qmp
from constellation_engine.machines.spec import MachineSpec, SevSnp, check_name
from constellation_engine.machines.spec_file import from_json, read_spec, to_json
from constellation_engine.machines.tpm import manufacture, running_tpm

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

STOP_TIMEOUT: Final = 60.0  # seconds for the guest to switch itself off
START_TIMEOUT: Final = 60.0  # seconds for QEMU to get ready; a fraction of one is usual
SEV_DEVICE: Final = Path("/dev/sev")


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
        """
        machine = cls(folder)
        check_name("machine", machine.name)
        if set(",\n") & set(str(machine.layout.folder)):
            raise MachineSpecError(f"{machine.layout.folder}: swtpm can have no folder with a comma or a line break")
        if machine.layout.spec.exists():
            return machine._same_as(spec)
        machine._check_nothing_there()
        try:
            with folders.new_folder(machine.layout.folder) as new:
                _fill(Layout(new), machine.name, spec)
        except FileExistsError:  # somebody was faster
            return machine._same_as(spec)
        return machine

    @property
    def spec(self) -> MachineSpec:
        """What it is made of; every forward has its port of the host.

        Raises:
            MachineNotFoundError: there is no machine.
            MachineSpecError: its description is damaged.
        """
        return read_spec(self.layout.spec)

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
            self._start(report)

    def stop(self, *, timeout: float = STOP_TIMEOUT, report: Callable[[str], None] = _nobody) -> None:
        """Switch it off: ask it (ACPI), and cut the power if it does not.

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
                with Qmp.connect(self.layout.qmp_socket) as qmp:
                    qmp.execute("system_powerdown")
                processes.wait_until_ended(self.layout.qemu, timeout)
        with folders.locked(self.layout.folder):
            self._cut_power()

    def reset(self, report: Callable[[str], None] = _nobody) -> None:
        """Cut the power and switch it on again. What it had not written to its disks is lost; its TPM starts anew.

        Args:
            report: told what takes a moment.

        Raises:
            MachineError: as `start`.
        """
        with folders.locked(self.layout.folder):
            self._cut_power()
            self._start(report)

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
                self._cut_power()
                folders.remove(self.layout.folder)
        except MachineNotFoundError:
            self._cut_power()  # somebody removed the folder of a machine that runs

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
        reason = self._why_stuck()
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

    def _check_nothing_there(self) -> None:
        place = self.layout.folder
        if place.exists() and (not place.is_dir() or any(place.iterdir())) and not self.layout.spec.exists():
            raise MachineExistsError(f"{place}: expected no folder, or a machine", hint="choose another name")
        if processes.running(self.layout.qemu) and not place.exists():
            message = f"{place}: its folder was removed while it ran, and it still runs"
            raise MachineExistsError(message, hint="destroy the machine")

    def _same_as(self, spec: MachineSpec) -> Self:
        """See that the machine that is there is the one that is wanted."""
        there = self.spec
        chosen = {item.name: item.host_port for item in there.forwards}
        wanted = spec.with_ports({item.name: chosen.get(item.name, 0) for item in spec.forwards})
        if from_json(to_json(wanted)) != there:
            hint = "destroy it first, or choose another name"
            raise MachineExistsError(f"{self.layout.folder}: there is a machine of another description", hint=hint)
        return self

    def _start(self, report: Callable[[str], None]) -> None:
        if processes.running(self.layout.qemu):
            return
        spec = self.spec
        check_ports(spec.forwards)
        check_memory(spec.memory)
        firmware = firmware_of(self.layout.folder)
        with ExitStack() as stack:
            snp = isinstance(spec.platform, SevSnp)
            if snp:
                _check_snp_host()
            launch = Launch(
                name=self.name,
                spec=spec,
                layout=self.layout,
                accelerator=Accelerator.KVM if snp else probe_kvm(report).accelerator,
                code=firmware.code,
                variables=firmware.variables,
                tpm=None if snp else stack.enter_context(running_tpm(self.layout)),
            )
            self._run(launch)

    def _run(self, launch: Launch) -> None:
        """Start QEMU. It goes into the background by itself when it is ready, and says before what it cannot do."""
        log = self.layout.qemu_log
        command = [str(find_program(QEMU)), *command_line(launch)]
        with log.open("ab") as output:
            begin = output.tell()
            try:
                done = subprocess.run(  # noqa: S603 - every argument is ours
                    command,
                    check=False,
                    cwd=self.layout.folder,
                    pass_fds=[launch.tpm] if launch.tpm is not None else [],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=START_TIMEOUT,
                )
                reason = f"ended with code {done.returncode}" if done.returncode else ""
            except subprocess.TimeoutExpired:
                reason = f"was not ready after {START_TIMEOUT:g} s"
        if reason:
            self._cut_power()
            said = "\n".join(filter(None, (tail(log, begin), tail(self.layout.tpm_log))))
            raise MachineFailedError(f"{self.name}: QEMU {reason}: {said}", hint=f"all of it: {log}")

    def _cut_power(self) -> None:
        processes.kill(self.layout.qemu)
        processes.kill(self.layout.tpm)

    def _why_stuck(self) -> str:
        if self.layout.tpm_state.exists() and not processes.running(self.layout.tpm):
            return f"its TPM ended: {tail(self.layout.tpm_log)}"
        try:
            with Qmp.connect(self.layout.qmp_socket) as qmp:
                said = qmp.execute("query-status")["status"]
        except MachineError:
            return ""  # it ended just now, or somebody else is talking to it
        return "" if said == "running" else f"QEMU says {said}"


def machines(folder: Path) -> tuple[Machine, ...]:
    """Give the machines in a folder, by name.

    Args:
        folder: whose folders are machines; one that does not exist has none.
    """
    found = sorted(file.parent for file in folder.glob("*/spec.json") if not file.parent.name.startswith("."))
    return tuple(Machine(place) for place in found)


def _fill(layout: Layout, name: str, spec: MachineSpec) -> None:
    """Make everything that a machine has."""
    find_program(QEMU)
    drive = config_drive(name, spec)
    make_overlay(spec.image, layout.disk)
    make_state_disk(layout.state_disk, spec.state_disk)
    layout.config_drive.write_bytes(drive)
    if isinstance(spec.platform, SevSnp):
        find_snp_ovmf().copy_to(layout.folder)
    else:
        find_ovmf().copy_to(layout.folder)
        manufacture(layout)
    complete = spec.with_ports(choose_ports(spec.forwards))
    layout.spec.write_text(to_json(complete), encoding="utf-8")


def _check_snp_host() -> None:
    if not os.access(SEV_DEVICE, os.R_OK | os.W_OK):
        hint = "a host for it has an AMD EPYC 7003 or newer, SNP switched on in firmware and kernel, and QEMU 9.1"
        raise MissingProgramError(f"{SEV_DEVICE}: expected an SEV-SNP host, this is none, or not yours", hint=hint)
