# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The folder in which components are kept, so that they are fetched once.

    NAME-VERSION-PIN/NAME   a program; PIN: first 16 digits of the SHA-256 that it was accepted by
    archives/SHA256         an archive that several programs come from
    partial/SHA256          a download that has not ended (and its validator, RFC 9110 § 8.8)
    locks/NAME              who holds the lock (flock(2)) may write; the kernel lets go of it when a process dies

A file has its name only when it is whole and on disk (`constellation_engine.whole_files`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.components.archive import member_sha256
from constellation_engine.components.component import Origin
from constellation_engine.components.watch import Stage
from constellation_engine.user_folders import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.components.component import Component
    from constellation_engine.components.watch import Watch

FOLDER_VARIABLE: Final = "CONSTELLATION_COMPONENTS"
_PIN_LENGTH: Final = 16  # hexadecimal digits in the name of a folder: the hash itself is compared in full
_LOCK_INTERVAL: Final = 0.1  # seconds between two looks at a lock that another process holds


def default_root() -> Path:
    """Give the folder of the cache: the one that a variable names, or one of the user's."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    return cache_folder() / "components"


def sha256_of(file: Path) -> str:
    """Give the SHA-256 of a file's content, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Cache:
    """The folder.

    Args:
        root: where it is; made when it is needed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def program(self, component: Component, origin: Origin) -> Path:
        """Give the place of a program."""
        pin = component.pin(origin)[:_PIN_LENGTH]
        return self.root / f"{component.name}-{component.version}-{pin}" / component.name

    def archive(self, sha256: str) -> Path:
        """Give the place of an archive."""
        return self.root / "archives" / sha256

    def partial(self, sha256: str) -> Path:
        """Give the place of a download that has not ended."""
        return self.root / "partial" / sha256

    def expected(self, component: Component, origin: Origin) -> str | None:
        """Give the SHA-256 that a program must have; None where nothing here can tell.

        For a program from an archive it is the archive that tells, if that has the pinned hash.
        """
        pin = component.pin(origin)
        download = component.download
        if origin is Origin.BUILD or download is None or not download.member:
            return pin
        archive = self.archive(pin)
        if not archive.is_file() or sha256_of(archive) != pin:
            return None
        return member_sha256(archive, download.member)

    def intact(self, component: Component, origin: Origin) -> Path | None:
        """Give the place of a program if it is there and has the hash that it must have."""
        place = self.program(component, origin)
        if place.is_file() and sha256_of(place) == self.expected(component, origin):
            return place
        return None

    @contextmanager
    def locked(self, name: str, watch: Watch, title: str) -> Iterator[None]:
        """Hold a lock, alone among all threads and processes.

        Args:
            name: of the lock.
            watch: is told if we have to wait.
            title: what the lock is for, for people.

        Raises:
            GaveUpError: the other one took too long.
        """
        place = self.root / "locks" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("ab") as file:
            while not _try_lock(file.fileno()):
                watch.tell(title, Stage.WAITING)
                watch.pause(_LOCK_INTERVAL, title)
            yield


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
