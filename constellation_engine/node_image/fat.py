# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""FAT file systems, to be read without mounting them: the ESP of a disk.

After "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03, as firmware reads it (UEFI 2.10
§ 13.3): whether entries have 12, 16 or 32 bits follows from the number of clusters. Names are the long ones where there
are such, and in upper case otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from attestation.errors import MalformedError
from attestation.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILES: Final = 1024
MAX_DEPTH: Final = 8
MAX_FOLDER: Final = 1024 * 1024  # bytes of one folder's entries

_FIRST_CLUSTER: Final = 2
_ENTRY: Final = 32
_DELETED: Final = 0xE5
_LONG_NAME: Final = 0x0F
_LABEL: Final = 0x08
_FOLDER: Final = 0x10
_LAST_PART: Final = 0x40
_CASE: Final = 12  # where it says which half of a short name is in lower case: an addition that all systems know
_LOWER_STEM: Final = 0x08
_LOWER_EXTENSION: Final = 0x10
_WHAT: Final = "FAT file system"


class Width(IntEnum):
    """Bits of an entry of the allocation table."""

    FAT12 = 12
    FAT16 = 16
    FAT32 = 32

    @classmethod
    def of(cls, clusters: int) -> Width:
        """Tell it from the number of clusters."""
        return cls.FAT12 if clusters < 4085 else cls.FAT16 if clusters < 65525 else cls.FAT32  # noqa: PLR2004

    @property
    def end(self) -> int:
        """The least entry that ends a chain."""
        return {Width.FAT12: 0xFF8, Width.FAT16: 0xFFF8, Width.FAT32: 0xFFFFFF8}[self]


class Layout(NamedTuple):
    """What the boot sector says.

    Attributes:
        width: of the entries of the allocation table.
        cluster_size: bytes.
        clusters: how many there are; the first has number 2.
        table: offset of the allocation table.
        root: offset of the root folder; of FAT32 its first cluster.
        root_size: bytes of the root folder; 0 of FAT32.
        data: offset of cluster 2.
    """

    width: Width
    cluster_size: int
    clusters: int
    table: int
    root: int
    root_size: int
    data: int


@dataclass(frozen=True, slots=True)
class FatFile:
    """A file.

    Attributes:
        path: from the root, with "/" between: "EFI/BOOT/BOOTX64.EFI".
        size: bytes.
        cluster: the first.
    """

    path: str
    size: int
    cluster: int


class FatVolume:
    """A file system; its bytes stay where they are.

    Args:
        data: the partition.

    Raises:
        MalformedError: it is no FAT, or one that firmware would not read.
    """

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.layout = _read_layout(data)

    def files(self) -> tuple[FatFile, ...]:
        """Give all files, sorted by path.

        Raises:
            MalformedError: folders are damaged, run in circles, or there are too many.
        """
        layout = self.layout
        if layout.width is Width.FAT32:
            root = self._content(layout.root, None, "/")
        else:
            root = bytes(self._data[layout.root : layout.root + layout.root_size])
        found: list[FatFile] = []
        for file in self._walk(root, "", set()):
            found.append(file)
            if len(found) > MAX_FILES:
                raise MalformedError(f"{_WHAT} has more than {MAX_FILES} files")
        return tuple(sorted(found, key=lambda file: file.path))

    def read(self, file: FatFile) -> bytes:
        """Read a file.

        Raises:
            MalformedError: its chain of clusters is broken.
        """
        if file.size > self.layout.clusters * self.layout.cluster_size:
            raise MalformedError(f"{_WHAT}: {file.path} should have {file.size} bytes, more than the file system has")
        return self._content(file.cluster, file.size, file.path) if file.size else b""

    def _walk(self, entries: bytes, prefix: str, seen: set[int]) -> Iterator[FatFile]:
        for entry in _read_folder(entries):
            path = f"{prefix}{entry.name}"
            if not entry.is_folder:
                yield FatFile(path, entry.size, entry.cluster)
                continue
            if entry.cluster in seen or path.count("/") > MAX_DEPTH:
                raise MalformedError(f"{_WHAT}: the folder {path} is inside of another twice, or too deep")
            seen.add(entry.cluster)
            yield from self._walk(self._content(entry.cluster, None, path), f"{path}/", seen)

    def _content(self, cluster: int, size: int | None, path: str) -> bytes:
        """Give the bytes of a chain; of a folder, whose size nobody says, all of them."""
        limit = MAX_FOLDER if size is None else size
        wanted = -(-limit // self.layout.cluster_size)
        content = bytearray()
        for count, number in enumerate(self._chain(cluster, path)):
            if count == wanted:
                if size is None:
                    raise MalformedError(f"{_WHAT}: the folder {path} has more than {limit} bytes, or runs in a circle")
                break
            start = self.layout.data + (number - _FIRST_CLUSTER) * self.layout.cluster_size
            content += self._data[start : start + self.layout.cluster_size]
        if size is not None and len(content) < size:
            raise MalformedError(f"{_WHAT}: {path} should have {size} bytes, its clusters have {len(content)}")
        return bytes(content[:size])

    def _chain(self, cluster: int, path: str) -> Iterator[int]:
        while cluster < self.layout.width.end:
            if cluster not in range(_FIRST_CLUSTER, self.layout.clusters + _FIRST_CLUSTER):
                raise MalformedError(f"{_WHAT}: {path} leads to cluster {cluster}, which is not there")
            yield cluster
            cluster = self._next(cluster)

    def _next(self, cluster: int) -> int:
        width = self.layout.width
        start = self.layout.table + cluster * width // 8
        entry = int.from_bytes(self._data[start : start + max(width // 8, 2)], "little")
        if width is Width.FAT12:
            return entry >> 4 if cluster % 2 else entry & 0xFFF
        return entry & 0x0FFF_FFFF  # of 32 bits, four are reserved


def _read_layout(data: memoryview) -> Layout:
    reader = Reader(bytes(data[:512]), _WHAT, "little")
    reader.take(11, "jump and name")
    sector, per_cluster = reader.u16("bytes per sector"), reader.u8("sectors per cluster")
    reserved, tables = reader.u16("reserved sectors"), reader.u8("number of tables")
    root_entries, short_total = reader.u16("entries of the root"), reader.u16("sectors")
    reader.take(1, "media")
    table_sectors = reader.u16("sectors of a table")
    reader.take(8, "geometry, hidden sectors")
    total = short_total or reader.u32("sectors")
    reader.offset = 36
    claims_32 = not table_sectors
    root_cluster = 0
    if claims_32:
        table_sectors = reader.u32("sectors of a table")
        reader.take(4, "flags and version")
        root_cluster = reader.u32("cluster of the root")
    if bytes(data[510:512]) != b"\x55\xaa" or sector not in (512, 1024, 2048, 4096) or per_cluster.bit_count() != 1:
        raise MalformedError(f"{_WHAT}: the boot sector is none", hint="is the ESP of this disk formatted?")
    root_size = root_entries * _ENTRY
    table = reserved * sector
    root = table + tables * table_sectors * sector
    start = root + -(-root_size // sector) * sector
    clusters = (total * sector - start) // (per_cluster * sector)
    width = Width.of(clusters)
    if not reserved or not tables or clusters < 1 or total * sector > len(data):
        raise MalformedError(f"{_WHAT}: it should have {total * sector} bytes, the partition has {len(data)}")
    if claims_32 is not (width is Width.FAT32):
        raise MalformedError(
            f"{_WHAT}: the boot sector is that of {'FAT32' if claims_32 else 'FAT16'}, but {clusters} clusters are of "
            f"{width.name}: firmware does not read it",
            hint="make the ESP larger (512 MiB), or format it with the type that fits",
        )
    if (clusters + _FIRST_CLUSTER) * width // 8 > table_sectors * sector:
        raise MalformedError(f"{_WHAT}: the allocation table is shorter than {clusters} clusters need")
    return Layout(width, per_cluster * sector, clusters, table, root_cluster if claims_32 else root, root_size, start)


class _Entry(NamedTuple):
    name: str
    is_folder: bool
    size: int
    cluster: int


def _read_folder(entries: bytes) -> Iterator[_Entry]:
    """Give what is in a folder, without itself and the one above. Firmware finds an entry by either of its names."""
    parts: list[bytes] = []
    seen: set[str] = set()
    for start in range(0, len(entries) - _ENTRY + 1, _ENTRY):
        entry = entries[start : start + _ENTRY]
        if not entry[0]:
            return
        if entry[0] != _DELETED and entry[11] & 0x3F == _LONG_NAME:
            parts = [entry, *([] if entry[0] & _LAST_PART else parts)]
            continue
        if entry[0] not in (_DELETED, ord(".")) and not entry[11] & _LABEL:
            short = _short_name(entry)
            name = _long_name(parts, entry) or short
            names = {name.casefold(), short.casefold()}
            if seen & names:
                raise MalformedError(f"{_WHAT}: two files in one folder are called {name}")
            seen |= names
            cluster = int.from_bytes(entry[26:28] + entry[20:22], "little")
            yield _Entry(name, bool(entry[11] & _FOLDER), int.from_bytes(entry[28:32], "little"), cluster)
        parts = []


def _long_name(parts: list[bytes], entry: bytes) -> str:
    """Give the long name of an entry; empty where the parts before it are not its own."""
    check = 0
    for byte in entry[:11]:
        check = ((check >> 1) + ((check & 1) << 7) + byte) & 0xFF
    if any(part[0] & ~_LAST_PART != number or part[13] != check for number, part in enumerate(parts, 1)):
        return ""
    text = b"".join(part[1:11] + part[14:26] + part[28:32] for part in parts)
    return text.decode("utf-16-le", "replace").partition("\0")[0]


def _short_name(entry: bytes) -> str:
    stem, extension = (entry[part].decode("latin-1").rstrip(" ") for part in (slice(0, 8), slice(8, 11)))
    stem = stem.lower() if entry[_CASE] & _LOWER_STEM else stem
    extension = extension.lower() if entry[_CASE] & _LOWER_EXTENSION else extension
    return f"{stem}.{extension}" if extension else stem
