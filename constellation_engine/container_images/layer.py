# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Layers of an image: a folder as a tar archive that depends on its names and contents, and on nothing else.

Entries stand in the order of their paths, belong to root and have no time. A file can be run by all if its owner may
run it, and everything can be read by all: what the builder's umask was does not show. Not compressed, because
compressors differ from release to release, and the image lies on a compressed file system in the end.

Formats: pax of POSIX.1-2001; "Image Layer Filesystem Changeset" of the OCI image format specification 1.1.
"""

from __future__ import annotations

import hashlib
import stat
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EXECUTABLE: Final = 0o755
_PLAIN: Final = 0o644
_FOR_ALL: Final = 0o1777  # what is called tmp


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer.

    Attributes:
        file: the archive.
        sha256: of the archive, hexadecimal.
        size: of the archive, bytes.
        title: what is in it, for people.
    """

    file: Path
    sha256: str
    size: int
    title: str


def write_layer(folder: Path, file: Path, title: str) -> Layer:
    """Write a folder as a layer.

    Args:
        folder: stands for the root of the file system.
        file: the archive to write.
        title: what is in it.
    """
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in _sorted_below(folder):
            entry = _entry(path, path.relative_to(folder).as_posix())
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Layer(file, digest, file.stat().st_size, title)


def _sorted_below(folder: Path) -> Iterator[Path]:
    """Give everything below a folder, each folder before what it holds."""
    for path in sorted(folder.iterdir(), key=lambda item: item.name.encode()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _sorted_below(path)


def _entry(path: Path, name: str) -> tarfile.TarInfo:
    status = path.lstat()
    entry = tarfile.TarInfo(name)  # owner 0, group 0, time 0
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
    elif stat.S_ISDIR(status.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, _FOR_ALL if name == "tmp" else _EXECUTABLE
    else:
        entry.size = status.st_size
        entry.mode = _EXECUTABLE if status.st_mode & stat.S_IXUSR else _PLAIN
    return entry
