# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A machine boots another image from now on, and keeps all else."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from constellation_engine.errors import MachineNotFoundError, MachineSpecError
from constellation_engine.machines import DirectBoot, LaunchManifest, Machine, MachineSpec, MachineState, SevSnp
from constellation_engine.machines import creation as creation_module
from constellation_engine.machines.spec_file import to_json

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def other(tmp_path: Path) -> Path:
    image = tmp_path / "other" / "node.raw"
    image.parent.mkdir()
    image.write_bytes(b"\1" * MIB)
    return image


def backing(machine: Machine) -> str:
    shown = subprocess.run(
        ["qemu-img", "info", "--output=json", machine.layout.disk], check=True, capture_output=True, text=True
    )
    return str(json.loads(shown.stdout)["backing-filename"])


def test_it_boots_the_other_image_with_all_else_as_it_was(machine: Machine, other: Path) -> None:
    machine.layout.state_disk.write_bytes(b"state")
    before, drive = machine.spec, machine.layout.config_drive.read_bytes()
    tpm = sorted(path.name for path in machine.layout.tpm_state.iterdir())
    machine.change_image(other)
    assert machine.spec == replace(before, image=other)
    assert backing(machine) == str(other)
    assert machine.layout.state_disk.read_bytes() == b"state"
    assert machine.layout.config_drive.read_bytes() == drive
    assert sorted(path.name for path in machine.layout.tpm_state.iterdir()) == tpm
    assert machine.layout.spec.stat().st_mode & 0o777 == 0o600


def test_it_starts_with_it(machine: Machine, other: Path) -> None:
    machine.change_image(other)
    machine.start()
    assert machine.status().state is MachineState.RUNNING


def test_a_machine_that_runs_is_left_alone(machine: Machine, other: Path) -> None:
    machine.start()
    before = machine.spec
    with pytest.raises(MachineSpecError, match="expected a machine that is off, it runs"):
        machine.change_image(other)
    assert machine.spec == before


def test_an_image_that_is_not_there_changes_nothing(machine: Machine, tmp_path: Path) -> None:
    before = machine.spec
    with pytest.raises(MachineSpecError, match="expected a disk image"):
        machine.change_image(tmp_path / "nothing.raw")
    assert (machine.spec, backing(machine)) == (before, str(before.image))
    machine.start()


def test_who_is_interrupted_has_a_machine_that_does_not_start_and_changes_it_again(
    machine: Machine, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(_: MachineSpec) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(creation_module, "to_json", power_cut)
        with pytest.raises(KeyboardInterrupt):
            machine.change_image(other)
    with pytest.raises(MachineSpecError, match="expected the image that the machine was made of"):
        machine.start()
    machine.change_image(other)
    machine.start()


def test_a_machine_whose_platform_measures_the_image_at_launch_is_made_anew(machine: Machine, other: Path) -> None:
    boot = DirectBoot(kernel=other, initrd=other, command_line="")
    manifest = LaunchManifest(uid="u", name="n", role="worker", node_group="g", image_key="ab" * 32)
    machine.layout.spec.write_text(to_json(replace(machine.spec, platform=SevSnp(boot, manifest))))
    with pytest.raises(MachineSpecError, match="expected a machine with a vTPM, it is one of qemu-snp"):
        machine.change_image(other)


def test_there_must_be_a_machine(folder: Path, other: Path) -> None:
    with pytest.raises(MachineNotFoundError):
        Machine(folder / "nobody").change_image(other)
