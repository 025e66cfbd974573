# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Zips as `package` makes them, with a program of a few bytes, to be broken one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zipfile import ZipFile

from terraform_provider_constellation.packaging.archive import write_archive
from terraform_provider_constellation.packaging.release import Processor, Release

if TYPE_CHECKING:
    from pathlib import Path

RELEASE = Release("1.2.3", Processor.ours())
OTHER = next(processor for processor in Processor if processor is not RELEASE.processor)


def program(processor: Processor = RELEASE.processor, *, says: str = "") -> bytes:
    """As much of a program as anybody looks at."""
    return b"\x7fELF" + bytes(14) + processor.machine.to_bytes(2, "little") + says.encode()


def good_zip(folder: Path, release: Release = RELEASE, *, says: str = "") -> Path:
    """A zip that is in order."""
    files = folder / "files"
    (files / "_internal").mkdir(parents=True, exist_ok=True)
    (files / release.program).write_bytes(program(release.processor, says=says))
    (files / release.program).chmod(0o755)
    (files / "_internal" / "library").write_bytes(b"library")
    write_archive(files, folder / release.archive)
    return folder / release.archive


def zip_of(path: Path, entries: dict[str, bytes]) -> Path:
    """A zip of anything."""
    with ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path
