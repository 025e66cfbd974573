# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An image on disk is a folder; this module knows which files are in it.

node.raw                disk: partition table, ESP with the UKI, root, hashes of the root
node.efi                the unified kernel image (UKI), as it is in the ESP
vmlinuz initrd cmdline  for targets whose firmware is handed a kernel (qemu-snp)
measurements.json       what it measures (`constellation_core.image_manifest`)
measurements.json.sig   who says so
image.pub               whose signatures nodes of this image believe
packages.json           what it is made of (`constellation_engine.node_image.packages`)
sbom.spdx.json          the same, as SPDX
build.json              what it is (`constellation_engine.node_image.build_record`)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from constellation_core.image_manifest import MAX_SIZE, SignedManifest
from constellation_engine.errors import NodeImageError, UnknownImageError
from constellation_engine.node_image.build_record import BuildRecord

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.policy import Policy
    from constellation_core.image_manifest import ImageManifest

MAX_RECORD: Final = 16 * 1024 * 1024  # bytes of packages.json, the longest


class ImageFile(StrEnum):
    """Names in an image folder."""

    DISK = "node.raw"
    UKI = "node.efi"
    KERNEL = "vmlinuz"
    INITRD = "initrd"
    COMMAND_LINE = "cmdline"
    MEASUREMENTS = "measurements.json"
    SIGNATURE = "measurements.json.sig"
    PUBLIC_KEY = "image.pub"
    PACKAGES = "packages.json"
    SBOM = "sbom.spdx.json"
    BUILD = "build.json"


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """One image.

    Attributes:
        path: of the folder.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> ImageFolder:
        """Take a folder as an image.

        Raises:
            UnknownImageError: it is no folder, or none of an image.
        """
        folder = cls(path)
        if not folder.place(ImageFile.BUILD).is_file():
            found = "a folder without it" if path.is_dir() else "a file" if path.exists() else "nothing"
            raise UnknownImageError(
                f"{path}: expected the folder of an image, with {ImageFile.BUILD}, got {found}",
                hint="constellation image list shows what is there; constellation image build makes one",
            )
        return folder

    def place(self, file: ImageFile) -> Path:
        """Give the place of a file, whether it is there or not."""
        return self.path / file

    def has(self, file: ImageFile) -> bool:
        """Whether a file is there."""
        return self.place(file).is_file()

    def files(self) -> tuple[ImageFile, ...]:
        """Give the files that are there."""
        return tuple(file for file in ImageFile if self.has(file))

    def require(self, file: ImageFile) -> Path:
        """Give the place of a file that must be there.

        Raises:
            NodeImageError: it is not.
        """
        if not self.has(file):
            raise NodeImageError(
                f"{self.path}: expected {file}, is not there", hint="an interrupted copy? copy or build the image again"
            )
        return self.place(file)

    def read(self, file: ImageFile, *, limit: int = MAX_RECORD) -> bytes:
        """Read a file.

        Args:
            file: which one.
            limit: most bytes that it may have.

        Raises:
            NodeImageError: it is not there, cannot be read, is empty or too large.
        """
        return read_bounded(self.require(file), limit)

    def read_build(self) -> BuildRecord:
        """Read what the image is.

        Raises:
            NodeImageError: the record is not there.
            MalformedError: it is none.
        """
        return BuildRecord.from_document(self.read(ImageFile.BUILD))

    def read_signed(self) -> SignedManifest:
        """Read what the image measures, with the signature. Whose it is, is not known before `verify`.

        Raises:
            NodeImageError: one of both is not there.
            MalformedError: the signature is not base64.
        """
        document = self.read(ImageFile.MEASUREMENTS, limit=MAX_SIZE)
        return SignedManifest.from_text(document, self.read(ImageFile.SIGNATURE).decode("ascii", "replace"))

    def read_manifest(self) -> ImageManifest:
        """Read what the image measures, signed by the key that its nodes believe. Whose key that is, is not said.

        Raises:
            NodeImageError: a file is missing.
            NotGenuineError: the signature does not hold.
            MalformedError: it is no manifest.
        """
        return self.read_signed().verify(self.read(ImageFile.PUBLIC_KEY))

    def policy(self) -> Policy:
        """Give the policy that accepts machines which booted this image.

        Raises:
            NodeImageError: a file is missing.
            NotGenuineError: the signature does not hold.
            MalformedError: it is no manifest.
        """
        return self.read_manifest().policy({})


def read_bounded(path: Path, limit: int = MAX_RECORD) -> bytes:
    """Read a file that has at least one byte, and at most `limit`.

    Raises:
        NodeImageError: it cannot be read, is empty or too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise NodeImageError(f"{path} cannot be read: {error.strerror}", hint="is the name spelt right?") from None
    if not 0 < len(data) <= limit:
        raise NodeImageError(f"{path}: expected 1 to {limit} bytes, got {'more' if data else 'none'}")
    return data
