# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is in an image folder, a disk, or a unified kernel image: facts, without a judgement.

A disk is read as it is: its partition table, its ESP, and the image in it. Nothing is mounted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import NotGenuineError
from constellation_engine.node_image.disk import (
    SIGNATURE_PATH,
    UKI_PATH,
    Disk,
    Esp,
    allocated_size,
    map_file,
    open_disk,
)
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.kernel_image import KernelImage, read_kernel_image
from constellation_engine.node_image.packages import PackageManifest
from constellation_engine.node_image.signing import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from constellation_core.image_manifest import ImageManifest, SignedManifest
    from constellation_engine.node_image.build_record import BuildRecord

VERSION: Final = 1
_EXECUTABLE: Final = b"MZ"
_OTHER_TYPE: Final = "another"


class Kind(StrEnum):
    """What can be looked into."""

    FOLDER = "folder"
    DISK = "disk"
    UKI = "unified kernel image"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """What an image says to measure, and who says so.

    Attributes:
        manifest: the measurements; None where nobody whom we know signed them.
        key: fingerprint of who signed; empty where nobody whom we know did.
    """

    manifest: ImageManifest | None
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found. Parts that the inspected thing does not have are None.

    Attributes:
        path: of what was looked into.
        kind: what it is.
        build: what the image is.
        disk: its partition table.
        disk_allocated: bytes that the disk takes on the file system.
        esp: what is in its ESP.
        uki: the unified kernel image: beside the disk, or else in it.
        signed: what it says to measure: beside the disk, or else in its ESP.
        packages: what it is made of.
        files: sizes of the files of a folder, bytes.
    """

    path: Path
    kind: Kind
    build: BuildRecord | None = None
    disk: Disk | None = None
    disk_allocated: int = 0
    esp: Esp | None = None
    uki: KernelImage
    signed: SignedBy | None = None
    packages: PackageManifest | None = None
    files: Mapping[str, int]

    @property
    def differing(self) -> tuple[str, ...]:
        """Registers that were signed with another value than the kernel image leaves in them."""
        if self.signed is None or self.signed.manifest is None:
            return ()
        predicted = {str(index): value for index, value in self.uki.prediction.registers.items()}
        signed = self.signed.manifest.measurements.items()
        return tuple(name for name, one in signed if predicted.get(name, one.expected) != one.expected)

    def to_mapping(self) -> dict[str, Any]:
        """Give the record that is printed as JSON: stable keys, versioned."""
        return {
            "version": VERSION,
            "path": str(self.path),
            "kind": self.kind.value,
            "build": self.build.to_record() if self.build else None,
            "files": [{"name": name, "size": size} for name, size in self.files.items()],
            "disk": self._disk(),
            "uki": self.uki.to_mapping(),
            "registers": {str(index): value.hex() for index, value in self.uki.prediction.registers.items()},
            "measurements": self._measurements(),
            "packages": self._packages(),
        }

    def _disk(self) -> dict[str, Any] | None:
        if self.disk is None:
            return None
        partitions = [
            {
                "name": one.name,
                "type": one.type.name.lower() if one.type else _OTHER_TYPE,
                "uuid": str(one.uuid),
                "offset": one.offset,
                "size": one.size,
            }
            for one in self.disk.partitions
        ]
        files = [{"path": one.path, "size": one.size} for one in self.esp.files] if self.esp else []
        return {
            "size": len(self.disk.data),
            "allocated": self.disk_allocated,
            "partitions": partitions,
            "esp": files,
        }

    def _measurements(self) -> dict[str, Any] | None:
        if self.signed is None:
            return None
        manifest = self.signed.manifest
        return {
            "signed_by": self.signed.key,
            "differing": list(self.differing),
            "image": manifest.image if manifest else "",
            "variant": str(manifest.variant) if manifest else "",
            "registers": {name: one.expected.hex() for name, one in manifest.measurements.items()} if manifest else {},
            "launch_digests": [digest.hex() for digest in manifest.launch_digests] if manifest else [],
        }

    def _packages(self) -> dict[str, int] | None:
        if self.packages is None:
            return None
        kinds = ("debian", "tools", "python", "components", "containers")
        return {kind: len(getattr(self.packages, kind)) for kind in kinds}


def inspect(path: Path, public_keys: Iterable[bytes] = ()) -> Inspection:
    """Look into an image folder, a disk, or a unified kernel image.

    Args:
        path: of it.
        public_keys: PEM of whom we know; measurements are read if one of them, or the `image.pub` of a folder, signed
            them.

    Raises:
        NodeImageError: it cannot be read, or a file is missing.
        MalformedError: something in it is damaged.
        PredictionError: the unified kernel image is none that can be predicted.
    """
    if path.is_dir():
        return _inspect_folder(ImageFolder.open(path), public_keys)
    data = map_file(path)
    if bytes(data[: len(_EXECUTABLE)]) == _EXECUTABLE and not _has_partitions(data):
        return Inspection(path=path, kind=Kind.UKI, uki=read_kernel_image(data), files={})
    disk = Disk.parse(data)
    esp = disk.esp()
    return Inspection(
        path=path,
        kind=Kind.DISK,
        disk=disk,
        disk_allocated=allocated_size(path),
        esp=esp,
        uki=read_kernel_image(esp.read(UKI_PATH)),
        signed=_who_signed(esp.read_signed(), public_keys) if esp.has(SIGNATURE_PATH) else None,
        files={},
    )


def _inspect_folder(folder: ImageFolder, public_keys: Iterable[bytes]) -> Inspection:
    place = folder.require(ImageFile.DISK)
    disk = open_disk(place)
    keys = (*public_keys, folder.read(ImageFile.PUBLIC_KEY))
    return Inspection(
        path=folder.path,
        kind=Kind.FOLDER,
        build=folder.read_build(),
        disk=disk,
        disk_allocated=allocated_size(place),
        esp=disk.esp(),
        uki=read_kernel_image(map_file(folder.require(ImageFile.UKI))),
        signed=_who_signed(folder.read_signed(), keys),
        packages=PackageManifest.from_document(folder.read(ImageFile.PACKAGES)),
        files={file.value: folder.place(file).stat().st_size for file in folder.files()},
    )


def _who_signed(signed: SignedManifest, public_keys: Iterable[bytes]) -> SignedBy:
    for key in public_keys:
        try:
            return SignedBy(manifest=signed.verify(key), key=fingerprint(key))
        except NotGenuineError:
            continue
    return SignedBy(manifest=None, key="")


def _has_partitions(data: memoryview) -> bool:
    return bytes(data[512:520]) == b"EFI PART"
