# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The node image, and machines that boot it or what an attacker made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_engine.machines import Machine, MachineSpec
from constellation_engine.node_image.targets import Profile
from tests.node_image.built_images import Boot, copied, kept_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder


@pytest.fixture(scope="session")
def release_image(repository: Path) -> ImageFolder:
    """The image that clusters run."""
    return kept_image(repository, Profile.RELEASE)


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Boot]:
    """Start machines, and remove them in the end."""
    machines: list[Machine] = []

    def start(disk: Path, *, state_disk: int = 1024, metadata: dict[str, object] | None = None) -> Machine:
        name = f"node-{len(machines)}"
        record = metadata or {"version": 1, "uid": name, "name": name, "role": "control-plane", "peers": []}
        spec = MachineSpec(image=disk, metadata=record, state_disk=state_disk, isolated=True)
        machine = Machine.create(tmp_path / name, spec)
        machines.append(machine)
        machine.start()
        return machine

    yield start
    for machine in machines:
        machine.destroy()


@pytest.fixture
def altered(release_image: ImageFolder, tmp_path: Path) -> Callable[[int, bytes], Path]:
    """Give a copy of the disk with other bytes at one place."""

    def alter(offset: int, content: bytes) -> Path:
        copy = copied(release_image, tmp_path)
        with copy.open("r+b") as disk:
            disk.seek(offset)
            disk.write(content)
        return copy

    return alter
