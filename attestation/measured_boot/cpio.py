# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The archives that systemd-stub makes for the initrd: one file in `/.extra`.

The format is "newc" of the "initramfs buffer format" (Linux documentation). Numbers, modes and order are the stub's,
because the archive is measured byte for byte.
"""

from __future__ import annotations

from typing import Final

DIRECTORY: Final = ".extra"

_MAGIC: Final = b"070701"
_DIRECTORY_MODE: Final = 0o040555
_FILE_MODE: Final = 0o100444
# The stub holds this entry as a constant: the only one with a digit in upper case.
_TRAILER: Final = _MAGIC + b"00000000" * 4 + b"00000001" + b"00000000" * 6 + b"0000000B00000000TRAILER!!!\0\0\0\0"


def padding(size: int) -> bytes:
    """Zeros that fill `size` bytes up to a multiple of four."""
    return bytes(-size % 4)


def extra_archive(file: str, content: bytes | memoryview) -> bytes:
    """Pack one file into `/.extra`.

    Args:
        file: its name there.
        content: its bytes, fewer than 4 GiB.
    """
    path = f"{DIRECTORY}/{file}"
    return _entry(1, _DIRECTORY_MODE, DIRECTORY) + _entry(2, _FILE_MODE, path, content) + _TRAILER


def _entry(inode: int, mode: int, path: str, content: bytes | memoryview = b"") -> bytes:
    name = path.encode("ascii") + b"\0"
    owner, links, modified, device, checksum = 0, 1, 0, 0, 0
    numbers = (inode, mode, owner, owner, links, modified, len(content), *([device] * 4), len(name), checksum)
    header = _MAGIC + b"".join(b"%08x" % number for number in numbers) + name
    return header + padding(len(header)) + content + padding(len(content))
