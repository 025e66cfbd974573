# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The zip: always the same bytes, and refused when it is not whole, or not ours."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.errors import CoreError
from terraform_provider_constellation.packaging import archive
from terraform_provider_constellation.packaging.archive import examine_archive, unpack_archive
from terraform_provider_constellation.packaging.errors import ArchiveError, PlatformError
from terraform_provider_constellation.packaging.release import Release
from tests.terraform_provider_constellation.packaging.zips import OTHER, RELEASE, good_zip, program, zip_of

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = RELEASE.processor


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first = good_zip(tmp_path / "a")
    again = good_zip(tmp_path / "b" / "elsewhere")
    os.utime(tmp_path / "b" / "elsewhere" / "files" / RELEASE.program, (0, 0))
    (tmp_path / "b" / "elsewhere" / "files" / "_internal" / "library").chmod(0o600)
    assert first.read_bytes() == again.read_bytes() == good_zip(tmp_path / "b" / "elsewhere").read_bytes()


def test_a_good_zip_says_what_it_is_and_unpacks_as_it_was(tmp_path: Path) -> None:
    path = good_zip(tmp_path)
    assert examine_archive(path, OURS) == RELEASE
    unpack_archive(path, tmp_path / "unpacked")
    modes = {
        file.relative_to(tmp_path / "unpacked").as_posix(): file.stat().st_mode & 0o777
        for file in (tmp_path / "unpacked").rglob("*")
        if file.is_file()
    }
    assert modes == {RELEASE.program: 0o755, "_internal/library": 0o644}
    assert (tmp_path / "unpacked" / RELEASE.program).read_bytes() == program()


def test_a_zip_for_another_processor_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    path = good_zip(tmp_path, Release("1.2.3", OTHER))
    with pytest.raises(
        PlatformError, match=f"expected a program for {OURS.platform}, got one for {OTHER.platform}"
    ) as got:
        examine_archive(path, OURS)
    assert f"{OURS.platform}.zip" in got.value.hint


@pytest.mark.parametrize("content", [b"", b"MZ\x90\x00", b"\xcf\xfa\xed\xfe", b"#!/bin/sh\n"])
def test_a_program_of_another_system_is_refused(tmp_path: Path, content: bytes) -> None:
    path = zip_of(tmp_path / "x.zip", {RELEASE.program: content})
    with pytest.raises(PlatformError, match="is for another system"):
        examine_archive(path, OURS)


@pytest.mark.parametrize(
    "names", [[], ["readme"], ["terraform-provider-aws_v1.2.3"], [RELEASE.program, f"{RELEASE.program}-rc.1"]]
)
def test_a_zip_of_something_else_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = zip_of(tmp_path / "x.zip", dict.fromkeys(names, program()))
    with pytest.raises(ArchiveError, match="expected one program terraform-provider-constellation_vVERSION"):
        examine_archive(path, OURS)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "folder/", "./x", "a//x"])
@pytest.mark.parametrize(
    "work", [lambda path, _: examine_archive(path, OURS), unpack_archive], ids=["examine", "unpack"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str, work: Callable[[Path, Path], object]) -> None:
    path = zip_of(tmp_path / "x.zip", {RELEASE.program: program(), name: b"bad"})
    with pytest.raises(ArchiveError, match="expected names of files below one folder"):
        work(path, tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()


def test_a_small_zip_with_much_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED", 1 << 20)
    with ZipFile(tmp_path / "x.zip", "w", ZIP_DEFLATED) as made:
        made.writestr(RELEASE.program, program())
        made.writestr("zeros", bytes((1 << 20) + 1))
    with pytest.raises(ArchiveError, match="expected at most 1048576 bytes in it"):
        examine_archive(tmp_path / "x.zip", OURS)


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(ArchiveError, match="is no whole zip"):
        examine_archive(tmp_path / "x.zip", OURS)


@pytest.mark.parametrize("name", ["missing.zip", "."])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="cannot be read"):
        examine_archive(tmp_path / name, OURS)


@given(st.data())
def test_a_damaged_zip_is_refused_or_is_the_same(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = good_zip(Path(folder))
        whole = bytearray(path.read_bytes())
        where = data.draw(st.integers(0, len(whole) - 1))
        if data.draw(st.booleans()):
            whole[where] ^= data.draw(st.integers(1, 255))
        else:
            del whole[where:]
        path.write_bytes(whole)
        try:
            assert isinstance(examine_archive(path, OURS), Release)
            unpack_archive(path, Path(folder) / "unpacked")
        except CoreError:
            pass
