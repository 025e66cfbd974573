# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A list of images says where they are, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attestation.errors import MalformedError
from constellation_engine.errors import UploadError
from constellation_engine.node_image.catalogue import Catalogue, Place, PlaceKind
from constellation_engine.node_image.publishing import note_place

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder

HERE, THERE = (Place(PlaceKind.FILE, location, "ab" * 32, 4096) for location in ("/srv/a/node.raw", "/srv/b/node.raw"))


def test_a_place_is_noted_once(image: ImageFolder, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.json"
    assert [note_place(file, image, place) for place in (HERE, THERE, HERE, THERE)] == [True, True, False, False]
    assert Catalogue.from_document(file.read_bytes()).images[0].places == (HERE, THERE)
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_list_that_is_none_is_kept(image: ImageFolder, tmp_path: Path) -> None:
    (tmp_path / "catalogue.json").write_text("mine")
    with pytest.raises(MalformedError):
        note_place(tmp_path / "catalogue.json", image, HERE)
    assert (tmp_path / "catalogue.json").read_text() == "mine"


def test_where_the_image_is_is_said_even_then(image: ImageFolder, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UploadError, match=r"the image is at /srv/a/node\.raw, but"):
        note_place(tmp_path / "file" / "catalogue.json", image, HERE)
