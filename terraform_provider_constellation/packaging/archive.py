# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The zip of a registry: the same bytes for the same program, and no trust in one that came from elsewhere.

Terraform unpacks all of it into one folder, and starts the program whose name it knows.
"""

from __future__ import annotations

import re
import shutil
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from terraform_provider_constellation.packaging.errors import ArchiveError, PlatformError
from terraform_provider_constellation.packaging.release import NAME, Processor, Release

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_UNPACKED: Final = 256 << 20  # bytes; ours has 40 MiB

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_UNIX: Final = 3
_PROGRAM: Final = re.compile(rf"{NAME}_v(\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?)")
_ELF: Final = b"\x7fELF"
_MACHINE: Final = slice(18, 20)
_DAMAGED: Final = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What Python's zip library raises for files that are none; the last three for what it cannot unpack."""


def write_archive(folder: Path, target: Path) -> None:
    """Pack a folder: in the order of names, with one time, and with no permissions but to run what is run."""
    with ZipFile(target, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                entry.create_system = _UNIX
                entry.external_attr = (0o100755 if path.stat().st_mode & 0o100 else 0o100644) << 16
                archive.writestr(entry, path.read_bytes(), ZIP_DEFLATED, compresslevel=9)


def examine_archive(path: Path, processor: Processor) -> Release:
    """Find out which release a zip is.

    Args:
        path: the zip.
        processor: that it must be for.

    Raises:
        ArchiveError: it is damaged, or something else.
        PlatformError: it is for another processor.
    """
    with _opened(path) as archive:
        _check_entries(path, archive)
        version, program = _program(path, archive)
        with archive.open(program) as file:
            header = file.read(_MACHINE.stop)
        damaged = archive.testzip()
    if damaged is not None:
        raise ArchiveError(f"{path}: {damaged} is damaged", hint="fetch it again")
    _check_processor(path, header, processor)
    return Release(version, processor)


def unpack_archive(path: Path, folder: Path) -> None:
    """Unpack a zip that was examined.

    Raises:
        ArchiveError: it is not what it was.
    """
    with _opened(path) as archive:
        _check_entries(path, archive)
        for entry in archive.infolist():
            target = folder / entry.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
            target.chmod(0o755 if entry.external_attr >> 16 & 0o100 else 0o644)


@contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    try:
        with path.open("rb") as file, ZipFile(file) as archive:
            yield archive
    except _DAMAGED as error:
        raise ArchiveError(f"{path} is no whole zip: {error}", hint="fetch it again") from error
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}", hint="is the name spelt right?") from error


def _check_entries(path: Path, archive: ZipFile) -> None:
    """A zip may name files anywhere, and be small with much in it."""
    size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_UNPACKED:
        raise ArchiveError(f"{path}: expected at most {MAX_UNPACKED} bytes in it, got {size}")
    for entry in archive.infolist():
        name = PurePosixPath(entry.filename)
        if name.is_absolute() or ".." in name.parts or entry.is_dir() or entry.filename != str(name):
            raise ArchiveError(f"{path}: expected names of files below one folder, got {entry.filename!r}")


def _program(path: Path, archive: ZipFile) -> tuple[str, str]:
    found = [match for match in map(_PROGRAM.fullmatch, archive.namelist()) if match]
    if len(found) != 1:
        hint = "`constellation provider package` makes one"
        raise ArchiveError(f"{path}: expected one program {NAME}_vVERSION, got {len(found)}", hint=hint)
    return found[0][1], found[0][0]


def _check_processor(path: Path, header: bytes, processor: Processor) -> None:
    if not header.startswith(_ELF):
        raise PlatformError(f"{path} is for another system: its program is none of Linux")
    machine = int.from_bytes(header[_MACHINE], "little")
    if machine != processor.machine:
        named = next((other.platform for other in Processor if other.machine == machine), f"machine {machine}")
        hint = f"take the zip that ends with {processor.platform}.zip"
        raise PlatformError(f"{path}: expected a program for {processor.platform}, got one for {named}", hint=hint)
