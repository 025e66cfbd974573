# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A machine is created, started, stopped and destroyed, each of it as often as one likes."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from constellation_core.conditions import Condition, wait_for
from constellation_engine.errors import (
    MachineError,
    MachineExistsError,
    MachineNotFoundError,
    MachineSpecError,
    MissingProgramError,
    TooLittleError,
)
from constellation_engine.machines import (
    DirectBoot,
    Forward,
    LaunchManifest,
    Machine,
    MachineSpec,
    MachineState,
    SevSnp,
    TpmInterface,
    Vtpm,
    machines,
    processes,
)
from constellation_engine.machines.disks import ImageFormat
from constellation_engine.machines.firmware import Firmware
from constellation_engine.machines.qmp import Qmp


def processes_of(machine: Machine) -> list[int]:
    return [*processes.running(machine.layout.qemu), *processes.running(machine.layout.tpm)]


def test_a_new_machine_is_switched_off(machine: Machine) -> None:
    assert machine.status().state is MachineState.STOPPED
    assert machine.console_log() == ""


def test_it_runs_until_it_is_stopped(machine: Machine) -> None:
    machine.start()
    status = machine.status()
    assert (status.state, status.reason) == (MachineState.RUNNING, "")
    assert status.process in processes_of(machine)
    machine.stop(timeout=0)
    assert machine.status().state is MachineState.STOPPED
    assert processes_of(machine) == []


def test_everything_may_be_done_twice(machine: Machine) -> None:
    machine.stop()
    machine.start()
    first = processes_of(machine)
    machine.start()
    assert processes_of(machine) == first
    machine.stop(timeout=0)
    machine.stop(timeout=0)
    machine.destroy()
    machine.destroy()


def test_destroying_leaves_neither_file_nor_process(machine: Machine, folder: Path) -> None:
    machine.start()
    machine.destroy()
    assert processes_of(machine) == []
    assert list(folder.iterdir()) == []


def test_a_reset_is_another_run(machine: Machine) -> None:
    machine.start()
    before = machine.status().process
    machine.reset()
    after = machine.status()
    assert after.state is MachineState.RUNNING
    assert after.process != before


def test_a_reset_switches_on_what_was_off(machine: Machine) -> None:
    machine.reset()
    assert machine.status().state is MachineState.RUNNING


def test_whoever_does_not_switch_itself_off_is_cut_off(machine: Machine) -> None:
    said: list[str] = []
    machine.start()
    machine.stop(timeout=0.1, report=said.append)  # the firmware does not look at the button
    assert machine.status().state is MachineState.STOPPED
    assert said == ["waiting up to 0.1 s until node-0 switches itself off"]


def test_it_outlives_whoever_started_it(machine: Machine) -> None:
    start = "import sys, pathlib, constellation_engine.machines as m; m.Machine(pathlib.Path(sys.argv[1])).start()"
    subprocess.run([sys.executable, "-c", start, str(machine.layout.folder)], check=True, timeout=60)
    assert machine.status().state is MachineState.RUNNING


def test_the_folder_is_nobody_elses(machine: Machine) -> None:
    assert stat.S_IMODE(machine.layout.folder.stat().st_mode) == 0o700


def test_machines_are_listed_by_name(folder: Path, spec: MachineSpec) -> None:
    for name in ("b", "a"):
        Machine.create(folder / name, spec)
    (folder / ".half-made").mkdir()
    (folder / "other").mkdir()
    assert [machine.name for machine in machines(folder)] == ["a", "b"]
    assert machines(folder / "none") == ()


def test_creating_the_same_again_gives_the_same(folder: Path, spec: MachineSpec) -> None:
    asked = replace(spec, forwards=(Forward("init", 9000),))
    first = Machine.create(folder / "node-0", asked)
    second = Machine.create(folder / "node-0", asked)
    assert first.spec == second.spec
    assert first.spec.host_port("init") > 0


@pytest.mark.parametrize(
    "change", [{"memory": 256}, {"metadata": {"role": "worker"}}, {"forwards": (Forward("a", 1),)}]
)
def test_creating_another_under_the_same_name_is_refused(
    machine: Machine, spec: MachineSpec, change: dict[str, object]
) -> None:
    with pytest.raises(MachineExistsError, match="another description") as caught:
        Machine.create(machine.layout.folder, replace(spec, **change))  # type: ignore[arg-type] # it is one of these
    assert "destroy" in caught.value.hint


def test_two_at_once_make_one(folder: Path, spec: MachineSpec) -> None:
    asked = replace(spec, forwards=(Forward("init", 9000),))
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda _: Machine.create(folder / "node-0", asked), range(4)))
    assert {machine.spec.host_port("init") for machine in made} == {made[0].spec.host_port("init")}
    assert [entry.name for entry in folder.iterdir()] == ["node-0"]


def test_two_at_once_start_one(machine: Machine) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: machine.start(), range(4)))
    assert len(processes_of(machine)) == 2


@pytest.mark.parametrize("name", ["Node", "node_0", "node.0", ".node", "-node", "n" * 64])
def test_a_name_that_no_host_can_have_is_refused(folder: Path, spec: MachineSpec, name: str) -> None:
    with pytest.raises(MachineSpecError, match="name of a machine"):
        Machine.create(folder / name, spec)
    assert list(folder.iterdir()) == []


def test_a_folder_that_swtpm_cannot_name_is_refused(folder: Path, spec: MachineSpec) -> None:
    with pytest.raises(MachineSpecError, match="comma"):
        Machine.create(folder / "a,b" / "node-0", spec)


def test_a_folder_may_be_longer_than_a_socket_address(folder: Path, spec: MachineSpec) -> None:
    machine = Machine.create(folder / ("f" * 100) / ("g" * 100) / "node-0", spec)
    machine.start()
    assert machine.status().state is MachineState.RUNNING
    machine.open_console().close()
    machine.destroy()


def test_somebody_elses_folder_is_not_touched(folder: Path, spec: MachineSpec) -> None:
    precious = folder / "node-0" / "file"
    precious.parent.mkdir()
    precious.write_text("precious")
    with pytest.raises(MachineExistsError, match="expected no folder, or a machine"):
        Machine.create(folder / "node-0", spec)
    with pytest.raises(MachineError, match="another folder"):
        Machine(folder / "node-0").destroy()
    assert precious.read_text() == "precious"


def test_what_does_not_exist_can_only_be_destroyed(folder: Path) -> None:
    machine = Machine(folder / "node-0")
    for use in (machine.start, machine.stop, machine.reset, machine.status, lambda: machine.spec):
        with pytest.raises(MachineNotFoundError):
            use()
    machine.destroy()


def test_an_image_that_is_not_there_is_refused(folder: Path, spec: MachineSpec) -> None:
    with pytest.raises(MachineSpecError, match="expected a disk image"):
        Machine.create(folder / "node-0", replace(spec, image=folder / "none"))
    assert list(folder.iterdir()) == []


def test_an_image_that_is_damaged_is_refused(folder: Path, spec: MachineSpec) -> None:
    spec.image.write_bytes(b"QFI\xfb and no more")
    with pytest.raises(MachineError, match="qemu-img"):
        Machine.create(folder / "node-0", spec)
    assert list(folder.iterdir()) == []


def test_images_may_be_qcow2(folder: Path, spec: MachineSpec, tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(spec.image), str(image)], check=True, timeout=60)
    machine = Machine.create(folder / "node-0", replace(spec, image=image))
    machine.start()
    assert machine.status().state is MachineState.RUNNING
    assert ImageFormat.of(image) is ImageFormat.QCOW2


def test_an_image_that_was_changed_is_not_booted(machine: Machine, spec: MachineSpec) -> None:
    spec.image.write_bytes(b"another image")
    with pytest.raises(MachineSpecError, match="it was changed") as caught:
        machine.start()
    assert "destroy the machine" in caught.value.hint
    assert processes_of(machine) == []


def test_an_image_that_is_gone_is_named(machine: Machine, spec: MachineSpec) -> None:
    spec.image.unlink()
    with pytest.raises(MachineSpecError, match=str(spec.image)):
        machine.start()


def test_paths_may_be_relative(folder: Path, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    relative = replace(spec, image=Path("..", spec.image.name))
    machine = Machine.create(Path("node-0"), relative)
    assert machine.spec.image == spec.image
    monkeypatch.chdir("/")
    machine.start()
    assert machine.status().state is MachineState.RUNNING


def test_a_folder_that_cannot_be_written_is_named(folder: Path, spec: MachineSpec) -> None:
    (folder / "file").touch()
    with pytest.raises(MachineError, match="cannot be made") as caught:
        Machine.create(folder / "file" / "node-0", spec)
    assert "yours" in caught.value.hint


def test_an_interrupted_start_leaves_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run

    def interrupt(command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        done: subprocess.CompletedProcess[bytes] = real(command, **options)  # type: ignore[call-overload] # whatever it is
        if "-pidfile" in command:
            raise KeyboardInterrupt  # QEMU just went into the background
        return done

    monkeypatch.setattr(subprocess, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        machine.start()
    assert processes_of(machine) == []


def test_a_state_disk_that_does_not_fit_is_refused(folder: Path, spec: MachineSpec) -> None:
    size = (shutil.disk_usage(folder).free >> 20) + 1024
    with pytest.raises(TooLittleError, match=f"expected {size} MiB of free space") as caught:
        Machine.create(folder / "node-0", replace(spec, state_disk=size))
    assert "smaller state disk" in caught.value.hint
    assert list(folder.iterdir()) == []


def test_memory_that_this_host_has_not_is_refused(folder: Path, spec: MachineSpec) -> None:
    machine = Machine.create(folder / "node-0", replace(spec, memory=1 << 20))
    with pytest.raises(TooLittleError, match="expected 1048576 MiB of free memory"):
        machine.start()
    assert processes_of(machine) == []


@pytest.mark.parametrize("interface", list(TpmInterface))
def test_each_interface_of_the_tpm_starts(folder: Path, spec: MachineSpec, interface: TpmInterface) -> None:
    machine = Machine.create(folder / "node-0", replace(spec, platform=Vtpm(interface)))
    machine.start()
    assert machine.status().state is MachineState.RUNNING


def test_a_durable_machine_starts(folder: Path, spec: MachineSpec) -> None:
    machine = Machine.create(folder / "node-0", replace(spec, durable=True, isolated=True))
    machine.start()
    assert machine.status().state is MachineState.RUNNING


@pytest.mark.usefixtures("_programs")
@pytest.mark.parametrize("program", ["qemu-system-x86_64", "qemu-img", "swtpm", "swtpm_setup"])
def test_a_missing_program_is_named_with_its_package(
    tmp_path: Path, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    real = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == program else real(name))
    folder = tmp_path / "machines"  # not that of the fixture, whose machines do without swtpm_setup
    folder.mkdir()
    with pytest.raises(MissingProgramError, match=f"program {program} is not installed") as caught:
        Machine.create(folder / "node-0", spec)
    assert "install the package" in caught.value.hint
    assert list(folder.iterdir()) == []


def test_qemu_that_does_not_start_says_why(machine: Machine) -> None:
    machine.layout.disk.write_bytes(b"no disk")
    with pytest.raises(MachineError, match=r"(?s)node-0: QEMU ended with code 1: .*disk\.qcow2") as caught:
        machine.start()
    assert str(machine.layout.qemu_log) in caught.value.hint
    assert processes_of(machine) == []


def test_a_tpm_that_does_not_start_says_why(machine: Machine) -> None:
    shutil.rmtree(machine.layout.tpm_state)
    machine.layout.tpm_state.write_text("no folder")
    with pytest.raises(MachineError, match="Could not initialize the TPM"):
        machine.start()
    assert processes_of(machine) == []


def test_a_machine_whose_tpm_ended_is_stuck(machine: Machine) -> None:
    machine.start()
    processes.kill(machine.layout.tpm)
    status = machine.status()
    assert status.state is MachineState.STUCK
    assert "TPM" in status.reason


def test_a_machine_that_qemu_paused_is_stuck(machine: Machine) -> None:
    machine.start()
    with Qmp.connect(machine.layout.qmp_socket) as qmp:
        qmp.execute("stop")
    assert machine.status().reason == "QEMU says paused"


def test_a_damaged_machine_can_be_destroyed(machine: Machine, folder: Path) -> None:
    machine.layout.spec.write_text("{")
    with pytest.raises(MachineSpecError, match=r"spec\.json"):
        machine.start()
    machine.destroy()
    assert list(folder.iterdir()) == []


def test_an_snp_machine_needs_an_snp_host(
    folder: Path, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    firmware = tmp_path / "OVMF.amdsev.fd"
    firmware.write_bytes(b"firmware")
    monkeypatch.setattr("constellation_engine.machines.creation.find_snp_ovmf", lambda: Firmware(firmware, None))
    monkeypatch.setattr("constellation_engine.machines.power.SEV_DEVICE", Path("/nowhere/sev"))
    manifest = LaunchManifest(uid="u", name="node-0", role="worker", node_group="g", image_key="00" * 32)
    boot = DirectBoot(spec.image, spec.image, "")
    machine = Machine.create(folder / "node-0", replace(spec, platform=SevSnp(boot, manifest)))
    assert not machine.layout.tpm_state.exists()
    with pytest.raises(MissingProgramError, match="expected an SEV-SNP host"):
        machine.start()


@pytest.mark.timeout(200)  # 5 s are usual; on a host that is busy it is the firmware that suffers most
def test_the_firmware_writes_to_the_console(machine: Machine) -> None:
    machine.start()
    speaks = Condition("the firmware speaks", lambda: None if machine.console_log() else "nothing")
    wait_for([speaks], timeout=180)


def test_the_description_is_readable(machine: Machine, spec: MachineSpec) -> None:
    record = json.loads(machine.layout.spec.read_text())
    assert record["image"] == str(spec.image)
    assert record["version"] == 1
