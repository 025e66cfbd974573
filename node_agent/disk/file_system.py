# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The file system on an open state disk: ext4, on a device of which nothing was wiped; and where it is mounted.

A read of a block that was never written is an error: it has no valid check. Usually the whole device is wiped for that
reason, which takes minutes. A file system does not need it: ext4 keeps in its own tables which blocks were ever used,
and reads no others. Inode tables are different: where two inodes of one block are made at the same time, the kernel
reads the block, used before or not, and an error there takes the file system out of service. So all inode tables are
written when the file system is made, and there are fewer inodes than usual. What makes it is not careful either: it
looks for older file systems at both ends, and writes superblocks as parts of blocks. Those blocks are written first. If
a program ever reads too early it gets an error, not old data: this is safe, whether or not it is right.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node_agent.errors import PermanentError
from node_agent.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterator

BINDS: Final = tuple(
    map(Path, ("/etc/kubernetes", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet", "/var/log"))
)
"""Folders of the node that are on the state disk."""

_BLOCK_SIZE: Final = 4096
_BLOCKS_PER_GROUP: Final = 8 * _BLOCK_SIZE  # one block of bits
_PROBED: Final = 8 << 20  # bytes at each end
_JOURNAL: Final = 64  # MiB: is written at once, and replayed at a start after a crash
_BYTES_PER_INODE: Final = 32768  # tables of 1/128 of the disk
_MAKING: Final = ("nodiscard", "lazy_itable_init=0", "lazy_journal_init=0")
# Who can write to the disk below us cannot forge a file; a file that does not fit its check is not to be worked around.
_MOUNT_OPTIONS: Final = "noatime,nodev,nosuid,errors=remount-ro"
_BLOCK_COUNT_AT: Final = 1024 + 4  # s_blocks_count_lo of the superblock: 16 TiB; larger disks do not grow
_WIPED_AT_ONCE: Final = 32 << 20  # bytes
_PRIVATE: Final = 0o700


async def make(device: Path) -> None:
    """Make a file system on a device that was never written.

    Raises:
        PermanentError: it fails.
    """
    await asyncio.to_thread(_write_what_is_read, device)
    sizes = ("-b", str(_BLOCK_SIZE), "-m", "0", "-i", str(_BYTES_PER_INODE), "-J", f"size={_JOURNAL}")
    await run(("mkfs.ext4", "-q", "-F", *sizes, "-E", ",".join(_MAKING), str(device)))


def _write_what_is_read(device: Path) -> None:
    file = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
    try:
        size = os.lseek(file, 0, os.SEEK_END)
        os.pwrite(file, bytes(_PROBED), 0)
        os.pwrite(file, bytes(_PROBED), size - _PROBED)
        for group in _groups_with_superblock(size // _BLOCK_SIZE // _BLOCKS_PER_GROUP + 1):
            block = group * _BLOCKS_PER_GROUP
            if block < size // _BLOCK_SIZE:
                os.pwrite(file, bytes(_BLOCK_SIZE), block * _BLOCK_SIZE)
        os.fsync(file)
    finally:
        os.close(file)


def _groups_with_superblock(groups: int) -> Iterator[int]:
    """Give the groups of blocks that have a copy of the superblock: 1 and powers of 3, 5, 7 ("sparse_super")."""
    yield 1
    for base in (3, 5, 7):
        group = base
        while group < groups:
            yield group
            group *= base


async def grow(device: Path) -> None:
    """Let a mounted file system take all of its device; nothing where it has all.

    What is added is wiped first. Here the kernel is not careful either: it reads tables of what it adds, and where it
    cannot, it takes the whole file system out of service. A wipe that was cut off begins anew.

    Raises:
        PermanentError: it cannot grow.
    """
    file = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = os.lseek(file, 0, os.SEEK_END) // _BLOCK_SIZE * _BLOCK_SIZE
        start = _BLOCK_SIZE * int.from_bytes(os.pread(file, 4, _BLOCK_COUNT_AT), "little")
        for position in range(start, end, _WIPED_AT_ONCE):
            await asyncio.to_thread(_wipe, file, position, min(_WIPED_AT_ONCE, end - position))
    except OSError as error:
        raise PermanentError(f"{device} cannot be wiped before it grows: {error.strerror}") from None
    finally:
        os.close(file)
    if start < end:
        await run(("resize2fs", str(device)))


def _wipe(file: int, position: int, length: int) -> None:
    os.pwrite(file, bytes(length), position)
    os.fsync(file)


async def mount(device: Path, mount_point: Path, binds: tuple[Path, ...]) -> None:
    """Mount an open disk, and bind its folders to where programs look for them.

    Args:
        device: mapping with the file system.
        mount_point: folder.
        binds: folders that are on the disk, under the same path.

    Raises:
        PermanentError: a folder cannot be made, or a mount fails.
    """
    _make_folder(mount_point)
    await run(("mount", "-t", "ext4", "-o", _MOUNT_OPTIONS, str(device), str(mount_point)))
    for place in binds:
        source = mount_point / place.relative_to("/")
        _make_folder(source)
        _make_folder(place)
        await run(("mount", "--bind", str(source), str(place)))


async def unmount(mount_point: Path, binds: tuple[Path, ...]) -> None:
    """Undo `mount`, or the part of it that was done."""
    for place in (*reversed(binds), mount_point):
        if _is_mount_point(place):
            await run(("umount", str(place)))


def _make_folder(place: Path) -> None:
    try:
        place.mkdir(mode=_PRIVATE if place.name == "etcd" else 0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise PermanentError(f"the folder {place} cannot be made: {error.strerror}") from None


def _is_mount_point(place: Path) -> bool:
    """Ask the kernel: a bind mount on the same device looks like a folder to everyone else."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return str(place) in {line.split()[4] for line in lines}
