# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which images this machine has: folders side by side in one folder.

That is `$XDG_DATA_HOME/constellation/images`; `CONSTELLATION_IMAGES` names another.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attestation.errors import AttestationError
from constellation_engine.errors import NodeImageError
from constellation_engine.node_image.disk import allocated_size
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.user_folders import data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constellation_engine.node_image.build_record import BuildRecord

FOLDER_VARIABLE: Final = "CONSTELLATION_IMAGES"


def default_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Give the folder of this machine's images: the one that a variable names, or one of the user's."""
    if chosen := environment.get(FOLDER_VARIABLE):
        return Path(chosen)
    return data_folder(environment) / "images"


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image on this machine, or what looks like one.

    Attributes:
        folder: where it is.
        build: what it is; None where its record cannot be read.
        problem: why it cannot; empty otherwise.
    """

    folder: ImageFolder
    build: BuildRecord | None
    problem: str = ""

    @property
    def size(self) -> int:
        """Bytes that its disk takes on the file system; 0 where it has none."""
        place = self.folder.place(ImageFile.DISK)
        return allocated_size(place) if place.is_file() else 0


def local_images(root: Path) -> tuple[LocalImage, ...]:
    """Give the images below a folder, newest first; none where it is not there.

    Raises:
        NodeImageError: the folder cannot be read.
    """
    try:
        folders = sorted(one for one in root.iterdir() if (one / ImageFile.BUILD).is_file()) if root.exists() else []
    except OSError as error:
        raise NodeImageError(f"{root} cannot be read: {error.strerror}", hint="name another folder") from None
    found = [_local_image(ImageFolder(folder)) for folder in folders]
    return tuple(sorted(found, key=lambda image: -image.build.created.timestamp() if image.build else 0.0))


def _local_image(folder: ImageFolder) -> LocalImage:
    try:
        return LocalImage(folder, folder.read_build())
    except (AttestationError, NodeImageError) as error:
        return LocalImage(folder, None, str(error))
