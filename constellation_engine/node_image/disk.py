# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The disk of a node image, read as a file: nothing is mounted, no root is needed.

It has an ESP with one unified kernel image, a root under dm-verity, and the hashes of that root.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from constellation_core.image_manifest import SignedManifest
from constellation_engine.errors import NodeImageError
from constellation_engine.node_image.fat import FatFile, FatVolume
from constellation_engine.node_image.gpt import Partition, PartitionType, parse_partitions
from constellation_engine.node_image.verity import compute_root_hash

if TYPE_CHECKING:
    from pathlib import Path

UKI_PATH: Final = "EFI/BOOT/BOOTX64.EFI"
MEASUREMENTS_PATH: Final = "constellation/measurements.json"
SIGNATURE_PATH: Final = "constellation/measurements.json.sig"

_ROOT_HASH: Final = "roothash="


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk whose partition table was read and is sound. Its bytes stay where they are.

    Attributes:
        data: the whole disk.
        partitions: in the order of the table.
    """

    data: memoryview = field(repr=False)
    partitions: tuple[Partition, ...]

    @classmethod
    def parse(cls, data: memoryview) -> Disk:
        """Read the partition table.

        Raises:
            MalformedError: there is none, it is damaged, or the disk was cut off.
        """
        return cls(data, parse_partitions(data))

    def partition(self, kind: PartitionType) -> memoryview:
        """Give the bytes of the partition of a type.

        Raises:
            MalformedError: the disk has not exactly one.
        """
        row = self.row(kind)
        return self.data[row.offset : row.offset + row.size]

    def row(self, kind: PartitionType) -> Partition:
        """Give the row of the partition of a type: where it lies.

        Raises:
            MalformedError: the disk has not exactly one.
        """
        found = [one for one in self.partitions if one.type is kind]
        if len(found) != 1:
            raise MalformedError(
                f"expected one partition of type {kind.name} on the disk, got {len(found)}",
                hint="is it the disk of a node image?",
            )
        return found[0]

    def esp(self) -> Esp:
        """Read what is in the ESP.

        Raises:
            MalformedError: there is none, or its file system is damaged.
        """
        volume = FatVolume(self.partition(PartitionType.ESP))
        return Esp(volume, volume.files())

    def root_hash(self) -> str:
        """Hash the root and compare with its tree; takes some seconds a GiB. Gives the root hash, hexadecimal.

        Raises:
            MalformedError: a partition is missing or damaged; says which block.
        """
        root, hashes = self.partition(PartitionType.ROOT), self.partition(PartitionType.ROOT_VERITY)
        return compute_root_hash(root, hashes).hex()


@dataclass(frozen=True, slots=True)
class Esp:
    """What is in an ESP.

    Attributes:
        volume: its file system.
        files: sorted by path.
    """

    volume: FatVolume = field(repr=False)
    files: tuple[FatFile, ...]

    def has(self, path: str) -> bool:
        """Whether a file is there; upper and lower case are the same."""
        return any(file.path.casefold() == path.casefold() for file in self.files)

    def read_signed(self) -> SignedManifest:
        """Read what the image measures, with the signature. Whose it is, is not known before `verify`.

        Raises:
            MalformedError: one of both is not there, or damaged.
        """
        signature = self.read(SIGNATURE_PATH).decode("ascii", "replace")
        return SignedManifest.from_text(self.read(MEASUREMENTS_PATH), signature)

    def read(self, path: str) -> bytes:
        """Read a file, whose name may be written in upper or lower case.

        Raises:
            MalformedError: it is not there, or damaged.
        """
        for file in self.files:
            if file.path.casefold() == path.casefold():
                return self.volume.read(file)
        raise MalformedError(
            f"expected {path} in the ESP, got {', '.join(one.path for one in self.files) or 'nothing'}"
        )


def map_file(path: Path) -> memoryview:
    """Map a file into memory, to read it in place.

    Raises:
        NodeImageError: it cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            # The mapping is left to the garbage collector, which waits for the last view of it.
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise NodeImageError(f"{path} cannot be read: {error.strerror}", hint="is the name spelt right?") from None
    except ValueError:
        raise NodeImageError(f"{path} is empty", hint="an interrupted copy? copy or build the image again") from None


def open_disk(path: Path) -> Disk:
    """Read the partition table of a disk in a file.

    Raises:
        NodeImageError: the file cannot be read.
        MalformedError: as `Disk.parse`.
    """
    return Disk.parse(map_file(path))


def root_hash_of(command_line: str) -> str:
    """Give the root hash that a kernel's command line names; empty where it names none, or several."""
    found = [word.removeprefix(_ROOT_HASH) for word in command_line.split() if word.startswith(_ROOT_HASH)]
    return found[0] if len(found) == 1 else ""


def allocated_size(path: Path) -> int:
    """Give the bytes that a file takes on its file system: fewer than its size where it has holes."""
    return path.stat().st_blocks * 512
