# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
r"""Unpack Debian packages, after deb(5): an ar(5) archive of three members, of which two are tar archives.

    "!<arch>\n", then for each member
    name 16 | time 12 | owner 6 | group 6 | mode 8 | size 10 | "`\n"   all text, padded with spaces
    content, padded to an even length

The order is `debian-binary` ("2.0\n"), `control.tar.*`, `data.tar.*`. What a package would run when it is installed is
not run.
"""

from __future__ import annotations

import os
import tarfile
from fnmatch import fnmatchcase
from io import BytesIO
from lzma import LZMAError
from typing import IO, TYPE_CHECKING, Final
from zlib import error as ZlibError  # noqa: N812 - it is a class

from constellation_engine.errors import DamagedPackageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_CONTROL: Final = 4 * 1024 * 1024
"""Bytes of a control file that are read."""

_CONTROL: Final = "control.tar"
_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60
_END_OF_HEADER: Final = b"`\n"
_EXECUTE: Final = 0o100  # by its owner
_EXECUTABLE: Final = 0o755
_PLAIN: Final = 0o644
_UNREADABLE: Final = (tarfile.TarError, LZMAError, ZlibError, EOFError, OSError, ValueError, KeyError)


def unpack(package: bytes, target: Path, patterns: Sequence[str]) -> str:
    """Unpack those files of a package that a pattern matches.

    Args:
        package: the file.
        target: folder that stands for the root of a file system.
        patterns: shell patterns of paths without leading "/"; `*` matches slashes too. A later pattern that begins with
            "!" takes away again.

    Returns:
        The control file of the package: what it is called, its version, and more.

    Raises:
        DamagedPackageError: it is no package, or holds a path that leads out of the target.
    """
    members = dict(_members(BytesIO(package)))
    try:
        control = _archive(members, _CONTROL)
        data = _archive(members, "data.tar")
        with tarfile.open(fileobj=BytesIO(data)) as archive:
            for entry in archive:
                if _is_wanted(entry.name.removeprefix("./"), patterns):
                    _place(archive, entry, target)
        return _control_file(control)
    except _UNREADABLE as error:
        raise DamagedPackageError(f"a Debian package cannot be unpacked: {error}") from None


def read_control(package: IO[bytes]) -> str:
    """Read the control file of a package, and nothing behind it.

    Args:
        package: the file, where one can seek.

    Raises:
        DamagedPackageError: it is no package.
    """
    try:
        for name, content in _members(package):
            if name.startswith(f"{_CONTROL}."):
                return _control_file(content)
    except _UNREADABLE as error:
        raise DamagedPackageError(f"the control file of a Debian package cannot be read: {error}") from None
    raise DamagedPackageError(f"expected a member {_CONTROL}.*, there is none")


def _control_file(archive: bytes) -> str:
    with tarfile.open(fileobj=BytesIO(archive)) as entries:
        file = entries.extractfile("./control")
        return file.read(MAX_CONTROL).decode("utf-8") if file else ""


def _members(package: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Give names and contents of the members of an ar archive, each when it is asked for."""
    end = package.seek(0, os.SEEK_END)
    package.seek(0)
    if (magic := package.read(len(_MAGIC))) != _MAGIC:
        raise DamagedPackageError(f"expected an ar archive, got a file that begins with {magic!r}")
    while (position := package.tell()) < end:
        header = package.read(_HEADER)
        size_text = header[48:58].strip()
        if header[58:] != _END_OF_HEADER or not size_text.isdigit():
            raise DamagedPackageError(f"expected the header of a member at byte {position}")
        size = int(size_text)
        if position + _HEADER + size > end:
            raise DamagedPackageError(f"expected {size} bytes of a member at byte {position + _HEADER}, got fewer")
        yield header[:16].decode("ascii", "replace").strip().rstrip("/"), package.read(size)
        package.seek(size % 2, os.SEEK_CUR)


def _archive(members: dict[str, bytes], stem: str) -> bytes:
    for name, content in members.items():
        if name.startswith(f"{stem}."):
            return content
    raise DamagedPackageError(f"expected a member {stem}.*, got {', '.join(members) or 'none'}")


def _place(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    """Put one entry of an archive below a folder."""
    path = target / entry.name
    leads_out = ".." in path.parts or not path.parent.resolve().is_relative_to(target.resolve())
    if leads_out and path != target:
        raise DamagedPackageError(f"{entry.name} leads out of the package")
    if entry.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.issym():
        path.symlink_to(entry.linkname)
        return
    content = archive.extractfile(entry)  # of a hard link: that of its target
    if content is None:
        raise DamagedPackageError(f"{entry.name} is no file, folder or link")
    path.write_bytes(content.read())
    path.chmod(_EXECUTABLE if entry.mode & _EXECUTE else _PLAIN)


def _is_wanted(path: str, patterns: Sequence[str]) -> bool:
    wanted = False
    for pattern in patterns:
        if fnmatchcase(path, pattern.removeprefix("!")):
            wanted = not pattern.startswith("!")
    return wanted
