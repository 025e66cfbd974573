# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real machines, as small as they can be: their disk is empty, so that the firmware is all that runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from constellation_engine.errors import MissingProgramError
from constellation_engine.machines import Machine, MachineSpec
from constellation_engine.machines.firmware import find_ovmf
from constellation_engine.machines.layout import Layout
from constellation_engine.machines.tpm import manufacture

if TYPE_CHECKING:
    from pathlib import Path

MakeMachine = Callable[..., Machine]
MIB = 1 << 20


@pytest.fixture(scope="session")
def _programs() -> None:
    for program in ("qemu-system-x86_64", "qemu-img", "swtpm", "swtpm_setup"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: there are no local machines")
    try:
        find_ovmf()
    except MissingProgramError as error:
        pytest.skip(f"{error}: there are no local machines")


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    """A machine that has nothing to boot."""
    image = tmp_path / "image.raw"
    image.write_bytes(bytes(MIB))
    return MachineSpec(image=image, cpus=1, memory=128, state_disk=64)


@pytest.fixture(scope="session")
def _tpm(_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout = Layout(tmp_path_factory.mktemp("tpm"))
    manufacture(layout)
    return layout.tpm_state


@pytest.fixture
def quick_tpm(_tpm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give new machines copies of one TPM: making one takes most of the time that making a machine takes."""
    copy = "constellation_engine.machines.creation.manufacture"
    monkeypatch.setattr(copy, lambda layout: shutil.copytree(_tpm, layout.tpm_state))


@pytest.fixture
def folder(tmp_path: Path, _programs: None, quick_tpm: None) -> Iterator[Path]:  # noqa: ARG001 - they prepare
    """A folder for machines; they are destroyed when the test is over."""
    place = tmp_path / "machines"
    place.mkdir()
    yield place
    for file in place.glob("*/spec.json"):
        Machine(file.parent).destroy()


@pytest.fixture
def machine(folder: Path, spec: MachineSpec) -> Machine:
    """A machine, switched off."""
    return Machine.create(folder / "node-0", spec)
