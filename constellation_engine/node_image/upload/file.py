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

    def target(self, image: ImageFolder) -> Path:
        """Give the folder that an image has there, whether it is there or not: NAME-VERSION-TARGET-PROFILE."""
        build = image.read_build()
        return self._root / f"{build.name}-{build.version}-{build.target}-{build.profile}"

    def upload(self, image: ImageFolder, *, report: Report) -> Place:
        """Copy an image to its folder; see `Uploader`."""
        for file in _NEEDED:
            image.require(file)
        target = self.target(image)
        draft = self._root / f".{target.name}.{secrets.token_hex(4)}"
        try:
            if target.exists():
                sha256 = _check_same(image, ImageFolder(target), report)
            else:
                draft.mkdir(parents=True)
                digests = {file: _copy(image.place(file), draft / file, report) for file in image.files()}
                _sync(draft)
                draft.rename(target)
                _sync(self._root)
                sha256 = digests[ImageFile.DISK]
        except OSError as error:
            raise UploadError(
                f"{target}: {error.strerror or error}", hint="is there enough space, and may you write there?"
            ) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        disk = target / ImageFile.DISK
        return Place(PlaceKind.FILE, str(disk), sha256, disk.stat().st_size)


def _check_same(image: ImageFolder, there: ImageFolder, report: Report) -> str:
    """Refuse to replace an image by another of the same name and version; give the SHA-256 of its disk."""
    small = [file for file in ImageFile if file is not ImageFile.DISK]
    differing = [file.value for file in small if _content(image, file) != _content(there, file)]
    sha256 = _sha256(image.place(ImageFile.DISK), report)
    if not there.has(ImageFile.DISK) or _sha256(there.place(ImageFile.DISK), report) != sha256:
        differing.append(ImageFile.DISK.value)
    if differing:
        raise UploadError(
            f"{there.path} is there with another content: {', '.join(differing)}",
            hint="give the new image another version, or remove the old one",
        )
    return sha256


def _content(image: ImageFolder, file: ImageFile) -> bytes | None:
    return hashlib.sha256(image.place(file).read_bytes()).digest() if image.has(file) else None


def _sha256(path: Path, report: Report) -> str:
    return digests_of(path, report, "sha256")["sha256"]


def _copy(source: Path, target: Path, report: Report) -> str:
    """Copy a file with holes, and read it back; give its SHA-256."""
    size, done, hashed = source.stat().st_size, 0, hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK):
            hashed.update(chunk)
            _write_with_holes(writer.fileno(), chunk, done)
            done += len(chunk)
            report("copying", done, size)
        writer.truncate(done)
        os.fsync(writer.fileno())
    if _sha256(target, report) != hashed.hexdigest():
        raise UploadError(
            f"{target.name}: what was written cannot be read back", hint="the disk or the network share is damaged"
        )
    return hashed.hexdigest()


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
