# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An image is copied whole, with its holes, once; or not at all."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from constellation_engine.errors import NodeImageError, UploadError
from constellation_engine.node_image.disk import allocated_size
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.signing import public_pem
from constellation_engine.node_image.upload import file as file_upload
from constellation_engine.node_image.upload.file import FileUploader
from constellation_engine.node_image.upload.uploader import say_nothing
from constellation_engine.node_image.verification import verify_image
from constellation_engine.testing.node_images import BUILD, KEY, FakeImage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "constellation-node-0.1.0-qemu-release"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Where images go."""
    return tmp_path / "there"


def test_the_copy_is_the_image(image: ImageFolder, there: Path) -> None:
    place = FileUploader(there).upload(image, report=say_nothing)
    copy = ImageFolder.open(there / NAME)
    assert place.location == str(copy.place(ImageFile.DISK))
    assert copy.files() == image.files()
    assert all(copy.read(file) == image.read(file) for file in copy.files())
    assert verify_image(copy, public_pem(KEY)).is_accepted


def test_zeros_take_no_place(image: ImageFolder, there: Path) -> None:
    FileUploader(there).upload(image, report=say_nothing)
    disk = there / NAME / ImageFile.DISK
    assert allocated_size(disk) < disk.stat().st_size / 4


def test_what_is_there_is_not_copied_again(image: ImageFolder, there: Path) -> None:
    first = FileUploader(there).upload(image, report=say_nothing)
    before = (there / NAME).stat().st_ino
    assert FileUploader(there).upload(image, report=say_nothing) == first
    assert (there / NAME).stat().st_ino == before


def test_another_image_of_that_version_is_not_replaced(image: ImageFolder, there: Path, tmp_path: Path) -> None:
    FileUploader(there).upload(image, report=say_nothing)
    other = FakeImage(root=b"another").write(tmp_path / "other")
    with pytest.raises(UploadError, match=r"is there with another content: node\.efi, .*node\.raw"):
        FileUploader(there).upload(other, report=say_nothing)
    assert ImageFolder(there / NAME).read(ImageFile.DISK) == image.read(ImageFile.DISK)


def test_other_versions_lie_side_by_side(image: ImageFolder, there: Path, tmp_path: Path) -> None:
    FileUploader(there).upload(image, report=say_nothing)
    FileUploader(there).upload(
        FakeImage(build=replace(BUILD, version="0.2.0")).write(tmp_path / "next"), report=say_nothing
    )
    assert sorted(one.name for one in there.iterdir()) == [NAME, NAME.replace("0.1.0", "0.2.0")]


@pytest.mark.parametrize("file", [ImageFile.DISK, ImageFile.SIGNATURE, ImageFile.BUILD])
def test_half_an_image_is_not_copied(image: ImageFolder, there: Path, file: ImageFile) -> None:
    image.place(file).unlink()
    with pytest.raises(NodeImageError, match=f"expected {file}, is not there"):
        FileUploader(there).upload(image, report=say_nothing)
    assert not there.exists()


def test_a_place_that_cannot_be_written_is_told(image: ImageFolder, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UploadError, match="Not a directory"):
        FileUploader(tmp_path / "file").upload(image, report=say_nothing)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files of this process may have 100 KB; the signal would end it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing(image: ImageFolder, there: Path, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("small_disk")
    with pytest.raises(UploadError, match=os.strerror(errno.EFBIG)):
        FileUploader(there).upload(image, report=say_nothing)
    assert list(there.iterdir()) == []


def test_an_interruption_leaves_nothing(image: ImageFolder, there: Path) -> None:
    def interrupt(what: str, _done: int, _total: int) -> None:
        if what == "copying":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FileUploader(there).upload(image, report=interrupt)
    assert list(there.iterdir()) == []


def test_what_cannot_be_read_back_is_not_kept(image: ImageFolder, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_upload, "_ZEROS", image.read(ImageFile.DISK)[1 << 20 :][: file_upload.BLOCK])
    with pytest.raises(UploadError, match=r"node\.raw: what was written cannot be read back"):
        FileUploader(there).upload(image, report=say_nothing)
    assert list(there.iterdir()) == []
