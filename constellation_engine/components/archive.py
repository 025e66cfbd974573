# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Take one program out of a tar archive that gzip compressed (POSIX.1-2017 pax, RFC 1952).

The archive has the pinned hash, so it is what its project published; still nothing is unpacked but the one file.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tarfile
import zlib
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from constellation_engine.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK: Final = 1 << 20  # bytes


def extract_member(archive: Path, member: str, target: Path) -> None:
    """Write one file of an archive.

    Args:
        archive: the archive.
        member: name of the file in it.
        target: where to write.

    Raises:
        DownloadError: it is not an archive, or has no such file.
    """
    with _opened(archive, member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def member_sha256(archive: Path, member: str) -> str:
    """Give the SHA-256 of one file of an archive, hexadecimal.

    Raises:
        DownloadError: as `extract_member`.
    """
    digest = hashlib.sha256()
    with _opened(archive, member) as source:
        while block := source.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[IO[bytes]]:
    wanted = PurePosixPath(member)  # so that ./bridge is bridge
    try:
        with tarfile.open(archive, "r:gz") as tar:
            found = next((entry for entry in tar if entry.isreg() and PurePosixPath(entry.name) == wanted), None)
            source = tar.extractfile(found) if found else None
            if source is None:
                raise DownloadError(f"{archive}: expected a file {member} in this archive, found none")
            yield source
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DownloadError(f"{archive}: expected a whole tar archive, gzip compressed: {error}") from None
