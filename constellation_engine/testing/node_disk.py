# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Disks of node images for tests: sound, small, and wrong in the one place that a test changes.

    FakeDisk().build()  # sound
    FakeDisk(root=b"another root").build()
    FakeDisk(esp={**ESP, "loader/addons/evil.addon.efi": b""}).build()

Nothing in them runs: the kernel is none, and the root is no file system.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from constellation_engine.node_image.disk import UKI_PATH
from constellation_engine.node_image.gpt import SECTOR, PartitionType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLOCK: Final = 4096
ENTRIES: Final = 128
ENTRY_SIZE: Final = 128
FIRST: Final = 2048  # sector of the first partition
FAT_CLUSTERS: Final = 8192  # enough for FAT16
SALT: Final = bytes(range(32))
ROOT: Final = b"a root that is no file system" * 1000

_NO_UUID: Final = UUID(int=0)


def build_fat(files: Mapping[str, bytes], *, clusters: int = FAT_CLUSTERS) -> bytes:
    """Make a FAT16 file system with clusters of one sector; every name becomes a long one.

    Args:
        files: contents by path; folders are made.
        clusters: 4085 to 65524.
    """
    return _FatBuilder(clusters).build(files)


class _FatBuilder:
    ROOT_ENTRIES = 512

    def __init__(self, clusters: int) -> None:
        self._clusters = clusters
        self._table = [0xFFF8, 0xFFFF]
        self._data = bytearray()

    def build(self, files: Mapping[str, bytes]) -> bytes:
        tree: dict[str, object] = {}
        for path, content in files.items():
            *folders, name = path.split("/")
            folder = tree
            for one in folders:
                folder = folder.setdefault(one, {})  # type: ignore[assignment] # a name is a folder or a file
            folder[name] = content
        root = self._folder(tree).ljust(self.ROOT_ENTRIES * 32, b"\0")
        sectors = -(-(self._clusters + 2) * 2 // SECTOR)
        total = 1 + sectors + len(root) // SECTOR + self._clusters
        boot = struct.pack(
            "<3s8sHBHBHHBHHHII",
            b"\xeb\x3c\x90",
            b"FAKE",
            SECTOR,
            1,
            1,
            1,
            self.ROOT_ENTRIES,
            0,
            0xF8,
            sectors,
            0,
            0,
            0,
            total,
        )
        table = struct.pack(f"<{len(self._table)}H", *self._table).ljust(sectors * SECTOR, b"\0")
        data = bytes(self._data).ljust(self._clusters * SECTOR, b"\0")
        return boot.ljust(510, b"\0") + b"\x55\xaa" + table + root + data

    def _folder(self, tree: Mapping[str, object]) -> bytes:
        entries = b""
        for index, (name, content) in enumerate(tree.items()):
            short = f"FILE{index:04}BIN".encode()
            if isinstance(content, dict):
                dots = b"".join(_entry(one.ljust(11), 0x10, 0, 0) for one in (b".", b".."))
                cluster, size, attributes = self._store(dots + self._folder(content)), 0, 0x10
            else:
                cluster, size, attributes = self._store(bytes(content)), len(bytes(content)), 0x20  # type: ignore[call-overload] # as above
            entries += _long_name(name, short) + _entry(short, attributes, cluster, size)
        return entries

    def _store(self, content: bytes) -> int:
        """Put content into clusters one after the other; give the first."""
        count = max(1, -(-len(content) // SECTOR))
        first = len(self._table)
        self._table += [*range(first + 1, first + count), 0xFFFF]
        self._data += content.ljust(count * SECTOR, b"\0")
        return first


def _long_name(name: str, short: bytes) -> bytes:
    check = 0
    for byte in short:
        check = ((check >> 1) + ((check & 1) << 7) + byte) & 0xFF
    text = (name + "\0").encode("utf-16-le")
    text += b"\xff" * (-len(text) % 26)
    parts = [text[start : start + 26] for start in range(0, len(text), 26)]
    last = len(parts)
    entries = [
        struct.pack(
            "<B10sBBB12sH4s",
            number | (0x40 if number == last else 0),
            one[:10],
            0x0F,
            0,
            check,
            one[10:22],
            0,
            one[22:],
        )
        for number, one in enumerate(parts, 1)
    ]
    return b"".join(reversed(entries))


def _entry(short: bytes, attributes: int, cluster: int, size: int) -> bytes:
    return struct.pack("<11sB14xHI", short, attributes, cluster, size)


def build_verity(data: bytes, *, salt: bytes = SALT) -> tuple[bytes, str]:
    """Make the hashes of a partition, whose size is a multiple of 4096: superblock with tree, and the root hash."""
    levels = [_hash_level(data, salt)]
    while len(levels[-1]) > BLOCK:
        levels.append(_hash_level(levels[-1], salt))
    numbers = struct.pack("<IIQH6x", BLOCK, BLOCK, len(data) // BLOCK, len(salt))
    superblock = b"verity\0\0" + struct.pack("<II16s32s", 1, 1, b"", b"sha256") + numbers + salt
    tree = superblock.ljust(BLOCK, b"\0") + b"".join(reversed(levels))
    return tree, hashlib.sha256(salt + levels[-1]).hexdigest()


def _hash_level(data: bytes, salt: bytes) -> bytes:
    starts = range(0, len(data), BLOCK)
    digests = b"".join(hashlib.sha256(salt + data[start : start + BLOCK]).digest() for start in starts)
    return digests + bytes(-len(digests) % BLOCK)


def build_gpt(partitions: Sequence[tuple[PartitionType | UUID, str, bytes]]) -> bytes:
    """Make a disk of partitions: type, name and content, each as it is."""
    rows, body, start = b"", bytearray(), FIRST
    for number, (kind, name, content) in enumerate(partitions, 1):
        sectors = -(-len(content) // SECTOR)
        type_uuid = kind.value if isinstance(kind, PartitionType) else kind
        uuids = type_uuid.bytes_le + UUID(int=number).bytes_le
        rows += uuids + struct.pack("<QQQ72s", start, start + sectors - 1, 0, name.encode("utf-16-le"))
        body += content.ljust(sectors * SECTOR, b"\0")
        start += sectors
    entries = rows.ljust(ENTRIES * ENTRY_SIZE, b"\0")
    table_sectors = len(entries) // SECTOR
    last = start + table_sectors
    front = bytes(SECTOR) + _header(1, last, 2, entries, last) + entries
    return front.ljust(FIRST * SECTOR, b"\0") + body + entries + _header(last, 1, start, entries, last)


def _header(own: int, other: int, table: int, entries: bytes, last: int) -> bytes:
    places = struct.pack("<QQQQ", own, other, FIRST, last - 1 - len(entries) // SECTOR)
    rows = struct.pack("<QIII", table, ENTRIES, ENTRY_SIZE, zlib.crc32(entries))
    rest = places + _NO_UUID.bytes_le + rows
    start = b"EFI PART" + struct.pack("<II", 0x10000, 92)
    crc = zlib.crc32(start + bytes(8) + rest)
    return (start + struct.pack("<I4x", crc) + rest).ljust(SECTOR, b"\0")


@dataclass
class FakeDisk:
    """A disk; change one thing and build it.

    Attributes:
        uki: in the ESP.
        esp: other files of the ESP.
        root: content of the root partition; filled up to whole blocks.
        more: other partitions: type and name.
    """

    uki: bytes
    esp: Mapping[str, bytes] = field(default_factory=dict)
    root: bytes = ROOT
    more: Mapping[UUID, str] = field(default_factory=dict)

    @property
    def root_hash(self) -> str:
        """What the command line of a UKI for this disk must say."""
        return build_verity(_whole_blocks(self.root))[1]

    def build(self) -> bytes:
        """Give the disk."""
        root = _whole_blocks(self.root)
        return build_gpt(
            [
                (PartitionType.ESP, "esp", build_fat({UKI_PATH: self.uki, **self.esp})),
                (PartitionType.ROOT, "root", root),
                (PartitionType.ROOT_VERITY, "root-verity", build_verity(root)[0]),
                *((kind, name, bytes(SECTOR)) for kind, name in self.more.items()),
            ]
        )


def _whole_blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)
