# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Archives that the kernel unpacks into its first file system: "initramfs buffer format" of the Linux documentation.

    buffer := ("070701" numbers[13] name NUL padding content padding)*    numbers are 8 hexadecimal digits
    numbers:  inode, mode, uid, gid, links, mtime, size, device × 4, length of the name, checksum

Several archives may follow one another, so what seldom changes is packed once.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MAGIC: Final = b"070701"
_CONSOLE: Final = (5, 1)  # the device behind /dev/console, which init talks to before it has a /dev


def pack(folder: Path, archive: Path) -> None:
    """Pack all that is below a folder, as root's.

    Args:
        folder: stands for the root of the file system.
        archive: the file to write; appears when it is whole.
    """
    partial = archive.with_name(f"{archive.name}.partial")
    with partial.open("wb") as stream:
        stream.writelines(_entries(folder))
    partial.replace(archive)


def join(archives: Iterable[Path], target: Path) -> None:
    """Write several archives, one behind the other."""
    with target.open("wb") as stream:
        for archive in archives:
            stream.write(archive.read_bytes())


def _entries(folder: Path) -> Iterator[bytes]:
    for inode, path in enumerate(sorted(folder.rglob("*")), 2):
        mode = path.lstat().st_mode
        content = b""
        if stat.S_ISLNK(mode):
            content = os.fsencode(path.readlink())
        elif stat.S_ISREG(mode):
            content = path.read_bytes()
        yield _entry(inode, path.relative_to(folder).as_posix(), mode, content)
    yield _entry(1, "dev/console", stat.S_IFCHR | 0o600, device=_CONSOLE)
    yield _entry(0, "TRAILER!!!", 0)


def _entry(inode: int, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    encoded = os.fsencode(name) + b"\0"
    numbers = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
    header = _MAGIC + b"".join(b"%08x" % number for number in numbers) + encoded
    return header + bytes(-len(header) % 4) + content + bytes(-len(content) % 4)
