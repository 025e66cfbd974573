# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Copy an image into a folder of images: another disk, a network share, what a web server publishes.

Blocks of zeros become holes, each file is read back and compared, and the folder gets its name when all is there.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import UploadError
from constellation_engine.node_image.catalogue import Place, PlaceKind
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.upload.uploader import CHUNK, digests_of

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.upload.uploader import Report

BLOCK: Final = 64 * 1024  # bytes that become a hole if all are zero
_ZEROS: Final = bytes(BLOCK)
_NEEDED: Final = (ImageFile.DISK, ImageFile.UKI, ImageFile.MEASUREMENTS, ImageFile.SIGNATURE, ImageFile.BUILD)


class FileUploader:
    """Copies images.

    Args:
        root: folder of images, made where it is not there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def upload(self, image: ImageFolder, *, report: Report) -> Place:
        """Copy an image to NAME-VERSION-TARGET-PROFILE below the folder; see `Uploader`."""
        for file in _NEEDED:
            image.require(file)
        build = image.read_build()
        target = self._root / f"{build.name}-{build.version}-{build.target}-{build.profile}"
        draft = self._root / f".{target.name}.{secrets.token_hex(4)}"
        digests = digests_of(image.place(ImageFile.DISK), report)
        place = Place(PlaceKind.FILE, str(target / ImageFile.DISK), digests.sha256, digests.size)
        try:
            if target.exists():
                _check_same(image, ImageFolder(target), digests.sha256, report)
                return place
            draft.mkdir(parents=True)
            for file in image.files():
                _copy(image.place(file), draft / file, report)
            _sync(draft)
            draft.rename(target)
            _sync(self._root)
        except OSError as error:
            raise UploadError(
                f"{target}: {error.strerror or error}", hint="is there enough space, and may you write there?"
            ) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return place


def _check_same(image: ImageFolder, there: ImageFolder, sha256: str, report: Report) -> None:
    """Refuse to replace an image by another of the same name and version."""
    small = [file for file in ImageFile if file is not ImageFile.DISK]
    differing = [file.value for file in small if _content(image, file) != _content(there, file)]
    disk = there.place(ImageFile.DISK)
    if not disk.is_file() or digests_of(disk, report).sha256 != sha256:
        differing.append(ImageFile.DISK.value)
    if differing:
        raise UploadError(
            f"{there.path} is there with another content: {', '.join(differing)}",
            hint="give the new image another version, or remove the old one",
        )


def _content(image: ImageFolder, file: ImageFile) -> bytes | None:
    return hashlib.sha256(image.place(file).read_bytes()).digest() if image.has(file) else None


def _copy(source: Path, target: Path, report: Report) -> None:
    """Copy a file with holes, and read it back."""
    size, done, hashed = source.stat().st_size, 0, hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK):
            hashed.update(chunk)
            _write_with_holes(writer.fileno(), chunk, done)
            done += len(chunk)
            report("copying", done, size)
        writer.truncate(done)
        os.fsync(writer.fileno())
    if digests_of(target, report).sha256 != hashed.hexdigest():
        raise UploadError(
            f"{target.name}: what was written cannot be read back", hint="the disk or the network share is damaged"
        )


def _write_with_holes(descriptor: int, chunk: bytes, offset: int) -> None:
    for start in range(0, len(chunk), BLOCK):
        block = memoryview(chunk)[start : start + BLOCK]
        if block != _ZEROS[: len(block)]:
            _write_all(descriptor, block, offset + start)


def _write_all(descriptor: int, block: memoryview, offset: int) -> None:
    while block:
        written = os.pwrite(descriptor, block, offset)
        block, offset = block[written:], offset + written


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
