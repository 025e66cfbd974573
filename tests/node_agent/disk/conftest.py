# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Disks to try: sparse files behind loop devices, in the guest, where the kernel has device-mapper."""

from __future__ import annotations

import hashlib
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from constellation_core.keys.secret import Secret
from node_agent.disk import StateDisk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SIZE = 256 << 20
PLAIN_TEXT = b"a text that nobody else has written "
ADOPTED = Path("/run/adopted.raw")


def output_of(*command: str | Path, stdin: bytes = b"") -> str:
    return subprocess.run(command, check=True, input=stdin, capture_output=True).stdout.decode().strip()


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
    return Secret(hashlib.sha256(b"the key of the state disk").digest())


@pytest.fixture
async def adopted(disk: StateDisk, raw: RawDisk, key: Secret) -> StateDisk:
    """A disk that a cluster has adopted, closed. It is made once: each test of it has a copy."""
    if not ADOPTED.exists():  # noqa: ASYNC240 - it is in memory
        await disk.prepare()
        await disk.mount()
        disk.mount_point.joinpath("file").write_bytes(PLAIN_TEXT * 4096)
        await disk.adopt(key, "a1b2c3")
        await disk.close()
        os.sync()
        copy_sparse(raw.file, ADOPTED)
    copy_sparse(ADOPTED, raw.file)
    output_of("blockdev", "--flushbufs", raw.device)
    return disk


def copy_sparse(source: Path, target: Path) -> None:
    """Copy what is not a hole."""
    with source.open("rb") as reader, target.open("r+b" if target.exists() else "wb") as writer:
        writer.truncate(SIZE)
        for start, content in written(reader):
            os.pwrite(writer.fileno(), content, start)


def written(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Give what is not a hole, and where it is."""
    end = 0
    with suppress(OSError):  # no data behind the last
        while True:
            start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            yield start, os.pread(file.fileno(), end - start, start)
