# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One program comes out of an archive, and nothing else."""

from __future__ import annotations

import hashlib
import io
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_engine.components.archive import extract_member, member_sha256
from constellation_engine.errors import DownloadError

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = b"\x7fELF program" * 100


def packed(**members: bytes) -> bytes:
    """A tar.gz of some files, whose names begin with ./ as those of the CNI plugins do, and of a link to each."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members.items():
            link = tarfile.TarInfo(f"link-to-{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(packed(other=b"other", bridge=PROGRAM))
    return path


def test_a_program_comes_out(archive: Path, tmp_path: Path) -> None:
    extract_member(archive, "bridge", tmp_path / "bridge")
    assert (tmp_path / "bridge").read_bytes() == PROGRAM
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "bridge"]


def test_its_hash_is_that_of_its_bytes(archive: Path) -> None:
    assert member_sha256(archive, "bridge") == hashlib.sha256(PROGRAM).hexdigest()


@pytest.mark.parametrize("member", ["portmap", "link-to-bridge", "/etc/passwd", "bin/bridge"])
def test_what_is_not_a_file_of_the_archive_is_refused(archive: Path, tmp_path: Path, member: str) -> None:
    with pytest.raises(DownloadError, match="found none"):
        extract_member(archive, member, tmp_path / "program")


@given(st.data())
def test_any_bytes_are_an_archive_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    good = packed(bridge=PROGRAM)
    position = data.draw(st.integers(0, len(good) - 1))
    flipped = good[:position] + bytes([good[position] ^ data.draw(st.integers(1, 255))]) + good[position + 1 :]
    path = tmp_path_factory.getbasetemp() / "damaged"
    for damaged in (flipped, good[:position], data.draw(st.binary(max_size=50))):
        path.write_bytes(damaged)
        with suppress(DownloadError):
            member_sha256(path, "bridge")
