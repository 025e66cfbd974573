# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is killed at whatever moment: `destroy` leaves nothing, and `start` starts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from constellation_core.conditions import Condition, wait_for
from constellation_engine.errors import MachineExistsError
from constellation_engine.machines import Machine, MachineState, processes
from constellation_engine.machines.folder import remove, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.machines import MachineSpec
    from constellation_engine.machines.processes import Marker

CREATE = """
import sys
from pathlib import Path
from constellation_engine.machines import Machine, MachineSpec
Machine.create(Path(sys.argv[1]), MachineSpec(image=Path(sys.argv[2]), state_disk=64, memory=128))
"""
START = "import sys; from pathlib import Path; from constellation_engine.machines import Machine\n"
START += "Machine(Path(sys.argv[1])).start()"


def everything_of(machine: Machine) -> list[int]:
    return [*processes.running(machine.layout.qemu), *processes.running(machine.layout.tpm)]


def gone(marker: Marker) -> Condition:
    return Condition("the process ended", lambda: "it runs" if processes.running(marker) else None)


@pytest.mark.parametrize("victims", [("qemu",), ("tpm",), ("qemu", "tpm")])
def test_a_machine_whose_processes_were_killed_starts_again(machine: Machine, victims: tuple[str, ...]) -> None:
    machine.start()
    for victim in victims:
        for number in processes.running(getattr(machine.layout, victim)):
            os.kill(number, signal.SIGKILL)
    if "qemu" in victims:
        wait_for([gone(machine.layout.qemu), gone(machine.layout.tpm)], timeout=30)
        assert machine.status().state is MachineState.STOPPED
    machine.reset()
    assert machine.status().state is MachineState.RUNNING
    assert machine.status().reason == ""


def test_the_tpm_ends_with_its_machine(machine: Machine) -> None:
    machine.start()
    processes.kill(machine.layout.qemu)
    wait_for([gone(machine.layout.tpm)], timeout=30)


def test_a_machine_that_lost_its_folder_can_be_destroyed(machine: Machine, spec: MachineSpec) -> None:
    machine.start()
    shutil.rmtree(machine.layout.folder)
    with pytest.raises(MachineExistsError, match="still runs"):
        Machine.create(machine.layout.folder, spec)
    machine.destroy()
    assert everything_of(machine) == []


def test_files_that_say_nothing_true_do_no_harm(machine: Machine) -> None:
    """After a crash of the host, process ids on disk are those of other programs."""
    for name in ("qemu.pid", "tpm.pid"):
        (machine.layout.folder / name).write_text(f"{os.getpid()}\n")
    assert machine.status().state is MachineState.STOPPED
    machine.stop()
    machine.start()
    machine.destroy()


def test_what_a_killed_creation_left_is_removed(folder: Path, spec: MachineSpec) -> None:
    target = folder / "node-0"
    pause = slow_program(folder.parent, "swtpm_setup")
    with killed_creation(target, spec, pause):
        assert list(folder.glob(".node-0.*/state.raw"))
    assert not target.exists()

    def clean() -> str | None:
        Machine.create(target, spec)
        Machine(target).destroy()
        return "something is left" if list(folder.iterdir()) else None

    # A program that the killed one was about to start may hold its lock for a moment longer.
    wait_for([Condition("nothing is left", clean)], timeout=30)


def test_what_is_being_made_is_not_removed(folder: Path, spec: MachineSpec) -> None:
    target = folder / "node-0"
    pause = slow_program(folder.parent, "swtpm_setup")
    with killed_creation(target, spec, pause):
        remove_leftovers(target)
        assert list(folder.glob(".node-0.*/state.raw"))


def test_what_a_killed_removal_left_is_removed(machine: Machine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", lambda *_: None)
        remove(machine.layout.folder)
    assert [entry.name.startswith(".node-0.") for entry in folder.iterdir()] == [True]
    machine.destroy()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("moment", ["swtpm", "qemu-system-x86_64"])
def test_what_a_killed_start_left_is_found(machine: Machine, folder: Path, moment: str) -> None:
    """The starter dies while swtpm, or QEMU, starts: nobody has written down their numbers."""
    pause = slow_program(folder.parent, moment)
    command = [sys.executable, "-c", START, str(machine.layout.folder)]
    marker = machine.layout.tpm if moment == "swtpm" else machine.layout.qemu
    with subprocess.Popen(command, env=pause) as starter:
        begun = Condition(f"{moment} begins", lambda: None if processes.running(marker) else "nothing")
        wait_for([begun], timeout=50)
        starter.kill()
    machine.destroy()
    assert everything_of(machine) == []
    assert list(folder.iterdir()) == []


@contextmanager
def killed_creation(target: Path, spec: MachineSpec, environment: dict[str, str]) -> Iterator[None]:
    """Create a machine elsewhere; when the block begins, half of it is there, and when it ends, the creator dies."""
    command = [sys.executable, "-c", CREATE, str(target), str(spec.image)]
    with subprocess.Popen(command, env=environment, process_group=0) as creator:
        half = f".{target.name}.*/state.raw"
        begun = Condition("it is half made", lambda: None if list(target.parent.glob(half)) else "nothing")
        wait_for([begun], timeout=30)
        yield
        os.killpg(creator.pid, signal.SIGKILL)


def slow_program(folder: Path, name: str) -> dict[str, str]:
    """Make an environment in which a program takes its time; it still is what it is on its command line."""
    slow = folder / "slow" / name
    slow.parent.mkdir()
    real = shutil.which(name)
    probing = 'case "$*" in *-nodefaults*-serial\\ file:*) exec REAL "$@";; esac'.replace("REAL", str(real))
    slow.write_text(f'#!/bin/sh\n{probing}\nexec 9<>"$0.pipe"\nread -r _ <&9\n')  # nobody ever writes to it
    slow.chmod(0o755)
    os.mkfifo(f"{slow}.pipe")
    return {**os.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}"}
