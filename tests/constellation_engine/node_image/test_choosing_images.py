# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which image is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from constellation_core.image_manifest import sign
from constellation_engine.errors import UnknownImageError
from constellation_engine.node_image.catalogue import Catalogue, Place, PlaceKind
from constellation_engine.node_image.choosing import Wanted, find_local, find_published, local_image, named_image
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.testing.node_images import BUILD, KEY, FakeImage

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder

OLD = replace(BUILD, version="0.0.9", created=BUILD.created - timedelta(days=1))


def catalogue(folder: Path, location: str, image: ImageFolder | None = None) -> Path:
    signed = image.read_signed() if image is not None else sign(FakeImage().manifest().to_document(), KEY)
    place = Place(PlaceKind.FILE, location, "ab" * 32, 12345)
    path = folder / "images.json"
    path.write_bytes(Catalogue(()).with_place(BUILD, signed, place).to_document())
    return path


def test_the_newest_is_meant_where_no_version_is_named(tmp_path: Path) -> None:
    for name, build in (("a", OLD), ("b", BUILD)):
        FakeImage(build=build).write(tmp_path / name)
    assert find_local(tmp_path, Wanted()).build == BUILD
    assert find_local(tmp_path, Wanted(version="0.0.9")).build == OLD


@pytest.mark.parametrize(
    "wanted", [Wanted(name="x"), Wanted(version="x"), Wanted(variant="qemu-snp"), Wanted(profile="debug")]
)
def test_what_does_not_fit_is_not_meant(image: ImageFolder, wanted: Wanted) -> None:
    with pytest.raises(UnknownImageError, match=r"has constellation-node 0\.1\.0 \(qemu-vtpm, release\)"):
        find_local(image.path.parent, wanted)


def test_an_image_is_named_by_folder_or_name(image: ImageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSTELLATION_IMAGES", str(image.path.parent))
    for text in (str(image.path), image.path.name, BUILD.name):
        assert named_image(text).folder == image


@pytest.mark.parametrize("text", ["nothing", "./nothing", "/nowhere/node", "~/nothing", ""])
def test_nothing_is_no_image(image: ImageFolder, text: str) -> None:
    with pytest.raises(UnknownImageError):
        named_image(text, image.path.parent)


def test_a_folder_says_where_its_disk_is(image: ImageFolder) -> None:
    found = local_image(image.path)
    assert found.reference == str(image.place(ImageFile.DISK))
    assert found.public_key() == image.read(ImageFile.PUBLIC_KEY)


def test_a_published_image_that_is_here_has_a_folder(tmp_path: Path, image: ImageFolder) -> None:
    found = find_published(catalogue(tmp_path, str(image.place(ImageFile.DISK)), image), Wanted())
    assert found.folder == image


def test_a_published_image_beside_another_one_has_none(tmp_path: Path) -> None:
    other = FakeImage(root=b"another").write(tmp_path / "other")
    found = find_published(catalogue(tmp_path, str(other.place(ImageFile.DISK))), Wanted())
    assert (found.folder, found.public_key()) == (None, None)


def test_a_published_image_that_is_nowhere_is_told(tmp_path: Path) -> None:
    path = catalogue(tmp_path, "x")
    record = Catalogue((replace(Catalogue.from_document(catalogue(tmp_path, "x").read_bytes()).images[0], places=()),))
    path.write_bytes(record.to_document())
    with pytest.raises(UnknownImageError, match="has no place"):
        find_published(path, Wanted())
