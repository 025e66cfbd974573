# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real machines, as small as they can be: their disk is empty, so that the firmware is all that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from constellation_engine.machines import Machine, MachineSpec

if TYPE_CHECKING:
    from pathlib import Path

MakeMachine = Callable[..., Machine]
MIB = 1 << 20


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    """A machine that has nothing to boot."""
    image = tmp_path / "image.raw"
    image.write_bytes(bytes(MIB))
    return MachineSpec(image=image, cpus=1, memory=128, state_disk=64)


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
