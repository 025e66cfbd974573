# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""GUID partition tables (UEFI 2.10 § 5.3), of disks with sectors of 512 bytes.

    LBA 1       header: "EFI PART" | revision | size | CRC-32 | 0 | its LBA | LBA of the other header | first usable LBA
                | last usable LBA | GUID of the disk | LBA of the entries | count | size of one | CRC-32 of the entries
    LBA 2…      entries: type | GUID | first LBA | last LBA | attributes | name, 36 characters of UTF-16
    last LBA    the other header

Both headers are read: a disk that was cut off has lost the second.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

from attestation.errors import MalformedError
from attestation.reader import Reader

SECTOR: Final = 512  # bytes
MAX_ENTRIES: Final = 1024

_HEADER_SIZE: Final = 92
_ENTRY_SIZES: Final = (128, 256, 512)
_CRC: Final = slice(16, 20)
_WHAT: Final = "partition table"
_CUT_OFF: Final = "an interrupted copy? copy or build the disk again"


class PartitionType(Enum):
    """Types of the partitions that a node image may have (UEFI; UAPI Discoverable Partitions Specification)."""

    ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
    ROOT = UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
    ROOT_VERITY = UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")


@dataclass(frozen=True, slots=True)
class Partition:
    """One row of the table.

    Attributes:
        name: for people.
        type_uuid: what it is for; see `PartitionType`.
        uuid: which one it is.
        offset: first byte on the disk.
        size: bytes.
    """

    name: str
    type_uuid: UUID
    uuid: UUID
    offset: int
    size: int

    @property
    def type(self) -> PartitionType | None:
        """What it is for, where we know it."""
        return next((known for known in PartitionType if known.value == self.type_uuid), None)


class _Header(NamedTuple):
    other: int
    first_usable: int
    last_usable: int
    disk: UUID
    entries: int
    rows: int
    entry_size: int
    entries_crc: int


def parse_partitions(disk: memoryview) -> tuple[Partition, ...]:
    """Read the table of a disk: its partitions in the order of the table.

    Raises:
        MalformedError: there is none, a checksum is wrong, partitions overlap or lie outside, or the disk was cut off.
    """
    header = _read_header(disk, 1)
    if (header.other + 1) * SECTOR > len(disk):
        raise MalformedError(
            f"the disk is truncated: it should have {(header.other + 1) * SECTOR} bytes, it has {len(disk)}",
            hint=_CUT_OFF,
        )
    other = _read_header(disk, header.other)
    if header._replace(other=0, entries=0) != other._replace(other=0, entries=0) or other.other != 1:
        raise MalformedError(f"{_WHAT}: its two headers contradict one another", hint=_CUT_OFF)
    table = _read_entries(disk, header)
    _read_entries(disk, other)
    rows = (table[start : start + header.entry_size] for start in range(0, len(table), header.entry_size))
    partitions = tuple(_read_entry(bytes(row)) for row in rows if any(row[:16]))
    _check_places(header, partitions)
    return partitions


def _read_header(disk: memoryview, lba: int) -> _Header:
    data = bytes(disk[lba * SECTOR : (lba + 1) * SECTOR])
    reader = Reader(data, _WHAT, "little")
    if (magic := reader.take(8, "signature")) != b"EFI PART":
        raise MalformedError(
            f"{_WHAT}: expected 'EFI PART' in sector {lba}, got {magic!r}", hint="is it the raw disk of a node image?"
        )
    reader.expect(0x10000, reader.u32("revision"), "revision")
    size = reader.u32("size of the header")
    crc = reader.u32("checksum")
    reader.take(4, "reserved")
    reader.expect(lba, reader.u64("own sector"), "own sector")
    if not _HEADER_SIZE <= size <= SECTOR or crc != zlib.crc32(data[: _CRC.start] + bytes(4) + data[_CRC.stop : size]):
        raise MalformedError(f"{_WHAT}: the checksum of the header in sector {lba} is wrong", hint=_CUT_OFF)
    other, first, last = (reader.u64(name) for name in ("other header", "first usable", "last usable"))
    disk_uuid = UUID(bytes_le=reader.take(16, "GUID of the disk"))
    entries, count, entry_size = reader.u64("entries"), reader.u32("count"), reader.u32("size of an entry")
    if count > MAX_ENTRIES or entry_size not in _ENTRY_SIZES:
        raise MalformedError(f"{_WHAT}: {count} entries of {entry_size} bytes, at most {MAX_ENTRIES} of 128 are read")
    return _Header(other, first, last, disk_uuid, entries, count, entry_size, reader.u32("checksum of the entries"))


def _read_entries(disk: memoryview, header: _Header) -> memoryview:
    start = header.entries * SECTOR
    table = disk[start : start + header.rows * header.entry_size]
    if zlib.crc32(table) != header.entries_crc:
        raise MalformedError(f"{_WHAT}: the checksum of its entries in sector {header.entries} is wrong", hint=_CUT_OFF)
    return table


def _read_entry(entry: bytes) -> Partition:
    reader = Reader(entry, _WHAT, "little")
    type_uuid, uuid = UUID(bytes_le=reader.take(16)), UUID(bytes_le=reader.take(16))
    first, last = reader.u64("first sector"), reader.u64("last sector")
    reader.u64("attributes")
    name = reader.take(72, "name").decode("utf-16-le", "replace").partition("\0")[0]
    return Partition(name, type_uuid, uuid, first * SECTOR, (last + 1 - first) * SECTOR)


def _check_places(header: _Header, partitions: tuple[Partition, ...]) -> None:
    start, end = header.first_usable * SECTOR, (header.last_usable + 1) * SECTOR
    for one in partitions:
        if one.size <= 0 or one.offset < start or one.offset + one.size > end:
            raise MalformedError(f"{_WHAT}: partition {one.name!r} lies outside of the disk, or is empty")
    for before, after in pairwise(sorted(partitions, key=lambda one: one.offset)):
        if before.offset + before.size > after.offset:
            raise MalformedError(f"{_WHAT}: partitions {before.name!r} and {after.name!r} overlap")
