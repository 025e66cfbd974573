# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The config drive: a medium of a stranger, which is read and not believed."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node_agent.errors import PermanentError, TemporaryError
from node_agent.media import opened, read_file
from node_agent.metadata.config_drive import ConfigDrive

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA = '{"version": 1, "name": "worker-0", "role": "worker"}'


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / "metadata.json").write_text(METADATA)
    return folder


async def test_a_folder_is_read(drive: Path) -> None:
    assert (await ConfigDrive(drive).read()).name == "worker-0"


async def test_a_drive_that_is_not_there_may_come(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="is not there"):
        await ConfigDrive(tmp_path / "nothing").read()


async def test_a_drive_without_metadata_says_what_is_wanted(drive: Path) -> None:
    (drive / "metadata.json").unlink()
    with pytest.raises(TemporaryError, match=r"has no metadata\.json") as error:
        await ConfigDrive(drive).read()
    assert "CONSTELLATION" in error.value.hint


async def test_metadata_that_is_wrong_may_be_written_anew(drive: Path) -> None:
    (drive / "metadata.json").write_text('{"version": 1}')
    with pytest.raises(TemporaryError, match="metadata lacks name"):
        await ConfigDrive(drive).read()


def test_a_link_is_not_followed(drive: Path) -> None:
    (drive / "link").symlink_to("/etc/passwd")
    with pytest.raises(TemporaryError, match="link cannot be read"):
        read_file(drive / "link", max_size=100)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_only_files_are_read(drive: Path, kind: str) -> None:
    path = drive / kind
    if kind == "device":
        path = Path("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises((PermanentError, TemporaryError), match=r"regular file|cannot be read"):
        read_file(path, max_size=100)


def test_a_large_file_is_not_read(drive: Path) -> None:
    (drive / "large").write_bytes(bytes(101))
    with pytest.raises(PermanentError, match="expected at most 100 bytes, got more"):
        read_file(drive / "large", max_size=100)


@contextmanager
def block_device(folder: Path, image: Path) -> Iterator[Path]:
    """Make a block device that holds what a folder holds."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None or shutil.which("losetup") is None:
        pytest.skip("needs root, mkfs.ext4 and loop devices")
    image.write_bytes(bytes(1 << 20))
    subprocess.run(["mkfs.ext4", "-q", "-d", str(folder), str(image)], check=True)
    done = subprocess.run(["losetup", "--show", "-f", str(image)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    device = done.stdout.strip()
    try:
        yield Path(device)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


async def test_a_block_device_is_mounted_and_unmounted(drive: Path, tmp_path: Path) -> None:
    with block_device(drive, tmp_path / "image") as device:
        assert (await ConfigDrive(device).read()).name == "worker-0"
        assert str(device) not in mounts()


def test_a_medium_is_read_only_and_runs_nothing(drive: Path, tmp_path: Path) -> None:
    with block_device(drive, tmp_path / "image") as device, opened(device):
        (line,) = [line for line in mounts().splitlines() if line.startswith(f"{device} ")]
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(line.split()[3].split(","))


def test_a_device_without_a_file_system_may_get_one(tmp_path: Path, drive: Path) -> None:
    with block_device(drive, tmp_path / "image") as device:
        device.write_bytes(bytes(1 << 20))
        with pytest.raises(TemporaryError, match="mount failed"), opened(device):
            pass


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()
