# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The file itself: a compressed archive for its owner alone, every part of it without secrets and of bounded size."""

from __future__ import annotations

import io
import os
import re
import tarfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.errors import AttestationError
from constellation_core.errors import CoreError
from constellation_engine.errors import EngineError, SupportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from constellation_engine.support.redaction import Redactor

FILE_MODE: Final = 0o600
LONGEST_PART: Final = 4 * 1024 * 1024  # characters; of what is longer the end is kept
PROBLEMS: Final = "problems.txt"

_STRANGE: Final = re.compile(r"[^A-Za-z0-9._-]")
_EXPECTED: Final = (EngineError, CoreError, AttestationError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a bundle.

    Attributes:
        name: path in the bundle.
        read: gives its text; may fail.
    """

    name: str
    read: Callable[[], str]


class Bundle:
    """A bundle that is being written; see `create`.

    Attributes:
        problems: what could not be collected, and why.
    """

    def __init__(self, archive: tarfile.TarFile, folder: str, redactor: Redactor) -> None:
        self._archive = archive
        self._folder = folder
        self._redactor = redactor
        self.problems: list[str] = []

    @classmethod
    @contextmanager
    def create(cls, path: Path, redactor: Redactor) -> Iterator[Bundle]:
        """Make a file; it is gone again where the block fails.

        Args:
            path: of the file; must not be there.
            redactor: takes secrets out of every part.

        Raises:
            SupportError: the file is there, or cannot be written.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, FILE_MODE)
        except OSError as error:
            raise SupportError(f"{path} cannot be made: {error.strerror}", hint="name another file: -o FILE") from None
        try:
            with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
                bundle = cls(archive, path.name.partition(".")[0], redactor)
                yield bundle
                bundle._end()
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def add(self, part: Part, asking: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        """Add a part; where it cannot be read, that is noted.

        Args:
            part: what to add.
            asking: context in which it is read.
        """
        try:
            with asking():
                text = part.read()
        except _EXPECTED as error:
            self.note(part.name, error)
        else:
            self._write(part.name, text)

    def note(self, what: str, error: Exception) -> None:
        """Remember that something could not be collected."""
        self.problems.append(self._redactor.redact(f"{what}: {str(error) or type(error).__name__}"))

    def _end(self) -> None:
        self._write(PROBLEMS, "".join(f"{problem}\n" for problem in self.problems) or "none\n")

    def _write(self, name: str, text: str) -> None:
        content = self._redactor.redact(text)[-LONGEST_PART:].encode("utf-8", "backslashreplace")
        entry = tarfile.TarInfo(f"{self._folder}/{_harmless(name)}")
        entry.size, entry.mode, entry.mtime = len(content), FILE_MODE, int(time.time())
        self._archive.addfile(entry, io.BytesIO(content))


def _harmless(name: str) -> str:
    """Give a path that stays in the bundle: names of pods come from the API server."""
    parts = (_STRANGE.sub("_", part) for part in name.split("/"))
    return "/".join("_" if part.strip(".") == "" else part for part in parts)
