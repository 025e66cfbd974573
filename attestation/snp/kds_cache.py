# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of AMD's key distribution service, kept on disk: public certificates and lists, one file for each address."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attestation.snp.kds import MAX_SIZE, Kept

FILE_MODE: Final = 0o644  # nothing in it is secret
DIRECTORY_MODE: Final = 0o755


class DiskCache:
    """Keeps answers in a directory. When an answer was given is the time of its file.

    A file that cannot be read counts as missing, and an answer that cannot be kept is not: the cache spares requests,
    and nothing depends on it.

    Args:
        directory: made when first needed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, path: str) -> Kept | None:
        """Give what is kept for a path."""
        try:
            with self._file(path).open("rb") as file:
                body = file.read(MAX_SIZE + 1)
                at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        except (OSError, OverflowError, ValueError):
            return None
        return Kept(body, at) if len(body) <= MAX_SIZE else None

    def save(self, path: str, kept: Kept) -> None:
        """Keep an answer: whole or not at all, whoever else writes at the same time."""
        with suppress(OSError):
            self._directory.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self._directory, prefix=".", suffix=".new")
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(kept.body)
                    os.fchmod(number, FILE_MODE)
                seconds = kept.at.timestamp()
                os.utime(name, (seconds, seconds))
                Path(name).replace(self._file(path))
            except OSError:
                Path(name).unlink()
                raise

    def _file(self, path: str) -> Path:
        # A hash of the path is a name that nothing in the path can lead elsewhere.
        return self._directory / hashlib.sha256(path.encode("utf-8")).hexdigest()
