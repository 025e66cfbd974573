# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What every kind of place has in common."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

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


def digests_of(path: Path, report: Report, *algorithms: str) -> dict[str, str]:
    """Hash a file, and tell how far that is.

    Args:
        path: of the file.
        report: is told how it goes.
        algorithms: as `hashlib` calls them.

    Returns:
        Algorithm → digest, hexadecimal.
    """
    size, done = path.stat().st_size, 0
    hashes = {name: hashlib.new(name) for name in algorithms}
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            for one in hashes.values():
                one.update(chunk)
            done += len(chunk)
            report("reading", done, size)
    return {name: one.hexdigest() for name, one in hashes.items()}


def say_nothing(_what: str, _done: int, _total: int) -> None:
    """A `Report` for who does not want to know."""
