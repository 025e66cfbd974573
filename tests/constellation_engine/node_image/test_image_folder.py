# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What an image folder is, and the record that says what an image is."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from constellation_engine.errors import NodeImageError, UnknownImageError
from constellation_engine.node_image.build_record import BuildRecord
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder, read_bounded
from constellation_engine.node_image.local_images import default_folder, local_images
from constellation_engine.testing.node_images import BUILD, FakeImage

if TYPE_CHECKING:
    from pathlib import Path


def test_a_build_record_is_read_back() -> None:
    assert BuildRecord.from_document(BUILD.to_document()) == BUILD


@pytest.mark.parametrize(
    "field, value",
    [
        ("version", 2),
        ("version", True),
        ("name", "../node"),
        ("image_version", ""),
        ("target", "QEMU"),
        ("variant", "qemu"),
        ("kubernetes", "1.36"),
        ("created", "2026-11-21"),
        ("created", "2026-02-30T00:00:00Z"),
        ("surprise", 1),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    record = {**json.loads(BUILD.to_document()), field: value}
    with pytest.raises(MalformedError, match=field):
        BuildRecord.from_document(json.dumps(record).encode())


@pytest.mark.parametrize("field", json.loads(BUILD.to_document()))
def test_a_missing_field_is_named(field: str) -> None:
    record: dict[str, Any] = json.loads(BUILD.to_document())
    del record[field]
    with pytest.raises(MalformedError, match=field):
        BuildRecord.from_document(json.dumps(record).encode())


@given(st.binary(max_size=100) | st.integers(0, len(BUILD.to_document())).map(lambda n: BUILD.to_document()[:n]))
def test_any_bytes_are_a_record_or_refused(document: bytes) -> None:
    with suppress(MalformedError):
        BuildRecord.from_document(document)


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, got in ((tmp_path, "a folder without it"), (tmp_path / "file", "a file"), (tmp_path / "no", "nothing")):
        with pytest.raises(UnknownImageError, match=f"got {got}"):
            ImageFolder.open(place)


def test_files_that_are_there_are_listed(image: ImageFolder) -> None:
    image.place(ImageFile.SBOM).unlink()
    wanted = set(ImageFile) - {ImageFile.SBOM, ImageFile.KERNEL, ImageFile.INITRD, ImageFile.COMMAND_LINE}
    assert set(image.files()) == wanted


@pytest.mark.parametrize("size, words", [(0, "got none"), (11, "got more")])
def test_a_file_is_read_within_bounds(tmp_path: Path, size: int, words: str) -> None:
    (tmp_path / "file").write_bytes(bytes(size))
    with pytest.raises(NodeImageError, match=f"expected 1 to 10 bytes, {words}"):
        read_bounded(tmp_path / "file", 10)


def test_images_are_listed_even_if_one_is_damaged(tmp_path: Path) -> None:
    FakeImage().write(tmp_path / "sound")
    FakeImage().write(tmp_path / "damaged").place(ImageFile.BUILD).write_text("{")
    (tmp_path / "something else").mkdir()
    sound, damaged = local_images(tmp_path)
    assert (sound.build, sound.problem) == (BUILD, "")
    assert sound.size > 0
    assert (damaged.build, damaged.folder.path.name) == (None, "damaged")
    assert "build record is not JSON" in damaged.problem


def test_no_folder_means_no_images(tmp_path: Path) -> None:
    assert local_images(tmp_path / "nowhere") == ()


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NodeImageError, match="cannot be read"):
        local_images(tmp_path / "file")


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"CONSTELLATION_IMAGES": "/chosen", "XDG_DATA_HOME": "/xdg"}, "/chosen"),
        ({"XDG_DATA_HOME": "/xdg"}, "/xdg/constellation/images"),
        ({}, "/.local/share/constellation/images"),
    ],
)
def test_the_folder_of_images(environment: dict[str, str], expected: str) -> None:
    assert str(default_folder(environment)).endswith(expected)
