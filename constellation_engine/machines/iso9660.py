# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Write a read-only file system with one file: ISO 9660 (ECMA-119), interchange level 2.

It is the one file system that takes a label of 13 characters, is written without root, and that every Linux kernel
reads. The same content gives the same bytes.

    sector 16   primary volume descriptor (§ 8.4)
           17   volume descriptor set terminator (§ 8.3)
           18   path table, little endian (§ 9.4)
           19   path table, big endian
           20   root directory (§ 9.1): itself, its parent, the file
           21   the file
"""

from __future__ import annotations

import re
import struct
from typing import Final

SECTOR: Final = 2048
_DESCRIPTOR, _TERMINATOR, _LITTLE, _BIG, _ROOT, _FILE = range(16, 22)
_DIRECTORY: Final = 2  # flag of a directory record, § 9.1.6
_LABEL: Final = re.compile(r"[A-Z0-9_]{1,32}")
_FILE_NAME: Final = re.compile(r"[A-Z0-9_]{1,26}\.[A-Z0-9_]{1,3}|[A-Z0-9_]{1,25}\.[A-Z0-9_]{1,4}")
_DATE: Final = bytes((80, 1, 1, 0, 0, 0, 0))  # 1980: nobody needs the time, and the bytes are to be the same
_NO_DATE: Final = b"0" * 16 + b"\0"  # § 8.4.26.1


def one_file(label: str, name: str, content: bytes) -> bytes:
    """Make the file system.

    Args:
        label: capital letters, digits and underscores, at most 32.
        name: of the file, in small letters as Linux shows it: "metadata.json".
        content: of the file.

    Raises:
        ValueError: label or name is not what the format has.
    """
    if not _LABEL.fullmatch(label) or not _FILE_NAME.fullmatch(name.upper()):
        raise ValueError(f"ISO 9660 has no label {label!r}, or no file name {name!r}")
    sectors = _FILE + max(1, -(-len(content) // SECTOR))
    here, parent = (_record(_ROOT, SECTOR, mark, _DIRECTORY) for mark in (b"\0", b"\1"))
    file = _record(_FILE, len(content), f"{name.upper()};1".encode("ascii"), 0)
    tables = [struct.pack(f"{order}BBIH2s", 1, 0, _ROOT, 1, b"") for order in "<>"]
    descriptor = _volume(label, sectors, len(tables[0]), here)
    parts = [descriptor, b"\xffCD001\x01", *tables, here + parent + file, content]
    return (
        bytes(_DESCRIPTOR * SECTOR)
        + b"".join(part + bytes(-len(part) % SECTOR) for part in parts[:-1])
        + (content.ljust((sectors - _FILE) * SECTOR, b"\0"))
    )


def _volume(label: str, sectors: int, table_size: int, root: bytes) -> bytes:
    return b"".join(
        (
            b"\x01CD001\x01\0",
            b" " * 32,
            label.encode("ascii").ljust(32),
            bytes(8),
            _both(sectors),
            bytes(32),
            _both_short(1),
            _both_short(1),
            _both_short(SECTOR),
            _both(table_size),
            struct.pack("<II", _LITTLE, 0),
            struct.pack(">II", _BIG, 0),
            root,
            b" " * (4 * 128 + 3 * 37),
            _NO_DATE * 4,
            b"\x01",
        )
    )


def _record(sector: int, size: int, name: bytes, flags: int) -> bytes:
    """Make a directory record, § 9.1; its length is even."""
    fields = _both(sector) + _both(size) + _DATE + bytes((flags, 0, 0)) + _both_short(1) + bytes((len(name),)) + name
    length = 2 + len(fields)
    return bytes((length + length % 2, 0)) + fields + bytes(length % 2)


def _both(number: int) -> bytes:
    """Give 32 bits in both orders of bytes, § 7.3.3."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def _both_short(number: int) -> bytes:
    """Give 16 bits in both orders of bytes, § 7.2.3."""
    return struct.pack("<H", number) + struct.pack(">H", number)
