# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Switching a machine on and off. Whoever calls this holds the machine's lock."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineError, MachineFailedError, MissingProgramError
from constellation_engine.machines import processes
from constellation_engine.machines.acceleration import Accelerator, probe_kvm
from constellation_engine.machines.disks import check_image
from constellation_engine.machines.firmware import firmware_of
from constellation_engine.machines.host import check_memory, check_ports
from constellation_engine.machines.programs import QEMU, find_program, tail
from constellation_engine.machines.qemu import Launch, command_line
from constellation_engine.machines.qmp import Qmp
from constellation_engine.machines.spec import SevSnp
from constellation_engine.machines.spec_file import read_spec
from constellation_engine.machines.tpm import running_tpm

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_engine.machines.layout import Layout

START_TIMEOUT: Final = 60.0  # seconds for QEMU to get ready; a fraction of one is usual
SEV_DEVICE: Final = Path("/dev/sev")


def switch_on(layout: Layout, report: Callable[[str], None]) -> None:
    """Start the processes of a machine, unless they run.

    Args:
        layout: of the machine.
        report: told what takes a moment.

    Raises:
        MachineError: it does not start; nothing of it runs then.
    """
    if processes.running(layout.qemu):
        return
    spec = read_spec(layout.spec)
    check_image(spec.image, layout.image_stamp)
    check_ports(spec.forwards)
    check_memory(spec.memory)
    snp = isinstance(spec.platform, SevSnp)
    if snp:
        _check_snp_host()
    accelerator = Accelerator.KVM if snp else probe_kvm(report).accelerator
    firmware = firmware_of(layout.folder)
    with ExitStack() as stack:
        launch = Launch(
            name=layout.folder.name,
            spec=spec,
            layout=layout,
            accelerator=accelerator,
            code=firmware.code,
            variables=firmware.variables,
            tpm=None if snp else stack.enter_context(running_tpm(layout)),
        )
        try:
            _run(launch)
        except BaseException:  # somebody who pressed Ctrl-C, too, does not want half a machine
            cut_power(layout)
            raise


def cut_power(layout: Layout) -> None:
    """End the processes of a machine at once.

    Raises:
        MachineError: one does not end.
    """
    processes.kill(layout.qemu)
    processes.kill(layout.tpm)


def press_button(layout: Layout, timeout: float) -> None:
    """Ask a machine to switch itself off (ACPI), and wait until it did.

    Args:
        layout: of the machine.
        timeout: seconds that it has.

    Raises:
        MachineError: it cannot be asked.
    """
    with Qmp.connect(layout.qmp_socket) as qmp:
        qmp.execute("system_powerdown")
    processes.wait_until_ended(layout.qemu, timeout)


def why_stuck(layout: Layout) -> str:
    """Say why a machine that is switched on cannot go on; "" where it can."""
    if layout.tpm_state.exists() and not processes.running(layout.tpm):
        return f"its TPM ended: {tail(layout.tpm_log)}"
    try:
        with Qmp.connect(layout.qmp_socket) as qmp:
            said = qmp.execute("query-status")["status"]
    except MachineError:
        return ""  # it ended just now, or somebody else is talking to it
    return "" if said == "running" else f"QEMU says {said}"


def _run(launch: Launch) -> None:
    """Start QEMU. It goes into the background by itself when it is ready, and says before what it cannot do."""
    layout, name = launch.layout, launch.name
    command = [str(find_program(QEMU)), *command_line(launch)]
    begin = layout.tpm_log.stat().st_size if launch.tpm is not None else 0
    with layout.qemu_log.open("ab") as output:
        start = output.tell()
        try:
            done = subprocess.run(  # noqa: S603 - every argument is ours
                command,
                check=False,
                cwd=layout.folder,
                pass_fds=[launch.tpm] if launch.tpm is not None else [],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=START_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise MachineFailedError(f"{name}: QEMU was not ready after {START_TIMEOUT:g} s") from None
    if done.returncode:
        said = "\n".join(filter(None, (tail(layout.qemu_log, start), tail(layout.tpm_log, begin))))
        hint = f"all of it: {layout.qemu_log}"
        raise MachineFailedError(f"{name}: QEMU ended with code {done.returncode}: {said}", hint=hint)


def _check_snp_host() -> None:
    if not os.access(SEV_DEVICE, os.R_OK | os.W_OK):
        hint = "a host for it has an AMD EPYC 7003 or newer, SNP switched on in firmware and kernel, and QEMU 9.1"
        raise MissingProgramError(f"{SEV_DEVICE}: expected an SEV-SNP host, this is none, or not yours", hint=hint)
