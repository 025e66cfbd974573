# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Disks to try: sparse files behind loop devices, in the guest, where the kernel has device-mapper."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_core.keys.secret import Secret
from node_agent.disk import StateDisk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SIZE = 256 << 20


def output_of(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True, slots=True)
class RawDisk:
    """A disk as the host has it.

    Attributes:
        file: its content.
        device: what the node sees.
    """

    file: Path
    device: Path

    def write(self, offset: int, content: bytes) -> None:
        """Do what a host can do."""
        with self.device.open("r+b", buffering=0) as stream:
            stream.seek(offset)
            stream.write(content)

    def read(self, size: int, offset: int = 0) -> bytes:
        with self.device.open("rb", buffering=0) as stream:
            stream.seek(offset)
            return stream.read(size)


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[RawDisk]:
    """An empty disk."""
    file = tmp_path / "disk.raw"
    with file.open("wb") as stream:
        stream.truncate(SIZE)
    device = Path(output_of("losetup", "--find", "--show", file))
    yield RawDisk(file, device)
    output_of("losetup", "--detach", device)
    file.unlink()  # it is memory


@pytest.fixture
def binds(tmp_path: Path) -> tuple[Path, ...]:
    """Folders that shall be on the disk."""
    return tmp_path / "var/lib/etcd", tmp_path / "var/log"


@pytest.fixture
async def disk(raw: RawDisk, tmp_path: Path, binds: tuple[Path, ...]) -> AsyncIterator[StateDisk]:
    """The agent's view of that disk."""
    made = StateDisk(raw.device, name="test", mount_point=tmp_path / "state", binds=binds)
    yield made
    await made.close()


@pytest.fixture
def key() -> Secret:
    """The key that the cluster has for the disk."""
    return Secret.random(32)
