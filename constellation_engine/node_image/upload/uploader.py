# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What every kind of place has in common."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from constellation_engine.node_image.catalogue import Place
    from constellation_engine.node_image.image_folder import ImageFolder

CHUNK: Final = 4 << 20  # bytes

Report: TypeAlias = "Callable[[str, int, int], None]"
"""Told what is done, and how many bytes of how many are done."""


class Uploader(Protocol):
    """Brings images to one kind of place."""

    def upload(self, image: ImageFolder, *, report: Report) -> Place:
        """Bring an image there, whole or not at all; if it is there already, nothing is sent.

        Args:
            image: which one.
            report: is told how it goes.

        Returns:
            Where it is.

        Raises:
            NodeImageError: the image is not whole.
            MalformedError: what it says of itself cannot be read.
            UploadError: it did not get there; nothing of it is left.
        """
        ...


class Digests(NamedTuple):
    """What tells whether two disks are the same.

    Attributes:
        size: bytes.
        sha256: hexadecimal.
        sha512: hexadecimal.
    """

    size: int
    sha256: str
    sha512: str


def digests_of(path: Path, report: Report) -> Digests:
    """Hash a file, and tell how far that is."""
    size, done = path.stat().st_size, 0
    sha256, sha512 = hashlib.sha256(), hashlib.sha512()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            sha512.update(chunk)
            done += len(chunk)
            report("reading", done, size)
    return Digests(done, sha256.hexdigest(), sha512.hexdigest())


def say_nothing(_what: str, _done: int, _total: int) -> None:
    """A `Report` for who does not want to know."""
