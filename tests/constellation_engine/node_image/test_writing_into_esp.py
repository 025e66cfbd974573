# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""mtools put the signed measurements where our own reader finds them, and change nothing else."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from attestation.errors import MalformedError
from constellation_engine.errors import MissingProgramError, NodeImageError
from constellation_engine.node_image.disk import MEASUREMENTS_PATH, SIGNATURE_PATH, UKI_PATH, open_disk
from constellation_engine.node_image.esp import put_into_esp
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.testing.node_disk import FakeDisk, build_gpt

if TYPE_CHECKING:
    from pathlib import Path

UKI = b"the unified kernel image"

needs_mtools = pytest.mark.skipif(not (shutil.which("mmd") and shutil.which("mcopy")), reason="mtools are missing")


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    """A disk as mkosi leaves it, and what was signed."""
    folder = ImageFolder(tmp_path / "image")
    folder.path.mkdir()
    folder.place(ImageFile.DISK).write_bytes(FakeDisk(UKI).build())
    folder.place(ImageFile.MEASUREMENTS).write_bytes(b"measurements" * 100)
    folder.place(ImageFile.SIGNATURE).write_bytes(b"signature")
    return folder


@needs_mtools
def test_what_was_written_is_found_again(folder: ImageFolder) -> None:
    put_into_esp(folder)
    esp = open_disk(folder.place(ImageFile.DISK)).esp()
    assert esp.read(MEASUREMENTS_PATH) == b"measurements" * 100
    assert esp.read(SIGNATURE_PATH) == b"signature"
    assert esp.read(UKI_PATH) == UKI


@needs_mtools
def test_nothing_else_of_the_disk_changes(folder: ImageFolder) -> None:
    put_into_esp(folder)
    disk = open_disk(folder.place(ImageFile.DISK))
    assert len(disk.esp().files) == 3
    assert disk.root_hash() == FakeDisk(UKI).root_hash


@needs_mtools
def test_the_same_files_make_the_same_bytes(folder: ImageFolder, tmp_path: Path) -> None:
    again = ImageFolder(shutil.copytree(folder.path, tmp_path / "again"))
    for one in (folder, again):
        put_into_esp(one)
    assert folder.read(ImageFile.DISK) == again.read(ImageFile.DISK)


@needs_mtools
def test_what_is_there_is_not_written_over(folder: ImageFolder) -> None:
    put_into_esp(folder)
    with pytest.raises(NodeImageError, match="mmd failed"):
        put_into_esp(folder)


@needs_mtools
@pytest.mark.parametrize("again", [b"shorter", b"longer " * 1000])
def test_what_is_there_is_replaced_where_that_is_wanted(folder: ImageFolder, again: bytes) -> None:
    put_into_esp(folder, replace=True)
    folder.place(ImageFile.MEASUREMENTS).write_bytes(again)
    put_into_esp(folder, replace=True)
    disk = open_disk(folder.place(ImageFile.DISK))
    assert disk.esp().read(MEASUREMENTS_PATH) == again
    assert len(disk.esp().files) == 3
    assert disk.root_hash() == FakeDisk(UKI).root_hash


def test_a_disk_without_an_esp_is_refused(folder: ImageFolder) -> None:
    folder.place(ImageFile.DISK).write_bytes(build_gpt([]))
    with pytest.raises(MalformedError, match="one partition of type ESP"):
        put_into_esp(folder)


def test_missing_mtools_are_told(folder: ImageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingProgramError, match="there is no mmd"):
        put_into_esp(folder)
