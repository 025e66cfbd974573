# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Note in a file with a published list of images where one of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_engine.errors import UploadError
from constellation_engine.node_image.catalogue import MAX_SIZE, Catalogue
from constellation_engine.node_image.image_folder import read_bounded
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.catalogue import Place
    from constellation_engine.node_image.image_folder import ImageFolder


def note_place(file: Path, folder: ImageFolder, place: Place) -> bool:
    """Add a place of an image to a list, which may be new.

    Args:
        file: of the list.
        folder: the image.
        place: where it is.

    Returns:
        Whether the list did not say so before.

    Raises:
        UploadError: the list cannot be written.
        NodeImageError: the list, or the image, cannot be read.
        MalformedError: the list is none.
    """
    known = Catalogue.from_document(read_bounded(file, MAX_SIZE)) if file.exists() else Catalogue(())
    build, signed = folder.read_build(), folder.read_signed()
    if any(one.build == build and one.signed == signed and place in one.places for one in known.images):
        return False
    try:
        with whole_file(file, mode=0o644) as draft:
            draft.write_bytes(known.with_place(build, signed, place).to_document())
    except OSError as error:
        raise UploadError(
            f"the image is at {place.location}, but {file} cannot be written: {error.strerror}",
            hint="do the same again with another catalogue: the image is not sent twice",
        ) from None
    return True
