# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Debian packages are unpacked as dpkg does it; anything else is refused by an error of ours."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_engine.debian.deb import MAX_CONTROL, read_control, unpack
from constellation_engine.errors import DamagedPackageError

if TYPE_CHECKING:
    from pathlib import Path

CONTROL = "Package: example\nVersion: 1.0\n"
ALL = ("*",)


def tar(entries: dict[str, bytes], *, mode: str = "w:xz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload] # the mode is a literal there
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
    return header.encode() + content + b"\n" * (len(content) % 2)


def package(files: dict[str, bytes], *, control: str = CONTROL) -> bytes:
    return b"".join(
        (
            b"!<arch>\n",
            member("debian-binary", b"2.0\n"),
            member("control.tar.xz", tar({"./control": control.encode()})),
            member("data.tar.xz", tar(files)),
        )
    )


FILES = {"./usr/bin/program": b"#!", "./usr/lib/library.so": b"ELF", "./usr/share/doc/example/copyright": b"ours"}


def names_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_files_and_the_description_come_out(tmp_path: Path) -> None:
    assert unpack(package(FILES), tmp_path, ALL) == CONTROL
    assert names_below(tmp_path) == {name.removeprefix("./") for name in FILES}
    assert (tmp_path / "usr/bin/program").stat().st_mode & 0o777 == 0o755


def test_only_what_a_pattern_matches_comes_out(tmp_path: Path) -> None:
    unpack(package(FILES), tmp_path, ("usr/*", "!usr/share/*", "usr/share/doc/*/copyright", "!usr/bin/*"))
    assert names_below(tmp_path) == {"usr/lib/library.so", "usr/share/doc/example/copyright"}


@pytest.mark.parametrize("name", ["../outside", "./usr/../../outside", "/outside"])
def test_a_path_does_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(DamagedPackageError, match="leads out of the package"):
        unpack(package({name: b"!"}), inside, ALL)
    assert names_below(tmp_path) == set()


def test_a_path_does_not_lead_out_through_a_link(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path)
    with pytest.raises(DamagedPackageError, match="leads out of the package"):
        unpack(package({"./link/outside": b"!"}), inside, ALL)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "expected an ar archive"),
        (b"PK\x03\x04", "expected an ar archive"),
        (b"!<arch>\n", "expected a member control.tar"),
        (b"!<arch>\n" + member("control.tar.xz", tar({"./control": b""})), "expected a member data.tar"),
        (b"!<arch>\n" + member("control.tar.xz", b"")[:-1], "expected the header"),
        (b"!<arch>\n" + member("control.tar.xz", b"1234")[:-2], "expected 4 bytes"),
        (package(FILES).replace(b"`\n", b"x\n"), "expected the header"),
        (b"!<arch>\n" + member("control.tar.xz", b"no") + member("data.tar.xz", b"no"), "cannot be unpacked"),
    ],
)
def test_what_is_no_package_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(DamagedPackageError, match=reason):
        unpack(data, tmp_path, ALL)


WHOLE = package(FILES)


@given(length=st.integers(min_value=0, max_value=len(WHOLE) - 1))
def test_a_truncated_package_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    with pytest.raises(DamagedPackageError):
        unpack(WHOLE[:length], tmp_path_factory.mktemp("deb"), ALL)


@given(position=st.integers(min_value=0, max_value=len(WHOLE) - 1), bit=st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_gives_a_package_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    flipped = bytearray(WHOLE)
    flipped[position] ^= 1 << bit
    folder = tmp_path_factory.mktemp("deb")
    try:
        unpack(bytes(flipped), folder, ALL)
    except DamagedPackageError:
        return
    assert names_below(folder)


class TestControlFile:
    def test_it_is_what_unpacking_gives(self) -> None:
        assert read_control(io.BytesIO(WHOLE)) == CONTROL

    def test_nothing_behind_it_is_read(self) -> None:
        """Packages have hundreds of MiB, and there are hundreds of packages."""
        stream = io.BytesIO(package({"./data": os.urandom(1 << 16)}))
        read_control(stream)
        assert stream.tell() < 1 << 10

    def test_one_without_an_end_is_cut_off(self) -> None:
        endless = package(FILES, control="Package: example\n" + "x" * MAX_CONTROL)
        assert len(read_control(io.BytesIO(endless))) == MAX_CONTROL

    @pytest.mark.parametrize(
        "data, reason",
        [
            (b"PK\x03\x04", "expected an ar archive"),
            (b"!<arch>\n" + member("data.tar.xz", b""), "expected a member control.tar"),
            (b"!<arch>\n" + member("control.tar.xz", b"no"), "cannot be read"),
            (b"!<arch>\n" + member("control.tar.xz", tar({"./other": b""})), "cannot be read"),
            (b"!<arch>\n" + member("x", b"").replace(b"0         `", b"9999999999`"), "expected 9999999999 bytes"),
        ],
    )
    def test_what_has_none_is_refused(self, data: bytes, reason: str) -> None:
        with pytest.raises(DamagedPackageError, match=reason):
            read_control(io.BytesIO(data))


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb here to compare with")
def test_a_package_of_dpkg_is_unpacked_as_dpkg_does_it(tmp_path: Path) -> None:
    source, theirs, ours = (tmp_path / name for name in ("source", "theirs", "ours"))
    (source / "DEBIAN").mkdir(parents=True)
    fields = ("Package: example", "Version: 1:1.0~rc1-1", "Architecture: all", "Maintainer: nobody", "Description: x")
    (source / "DEBIAN/control").write_text("\n".join(fields) + "\n")
    (source / "usr/lib").mkdir(parents=True)
    (source / "usr/lib/data").write_bytes(os.urandom(5001))
    (source / "lib").symlink_to("usr/lib")
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", source, tmp_path / "example.deb"], check=True)
    subprocess.run(["dpkg-deb", "--extract", tmp_path / "example.deb", theirs], check=True)
    assert "Version: 1:1.0~rc1-1" in unpack((tmp_path / "example.deb").read_bytes(), ours, ALL)
    assert subprocess.run(["diff", "--recursive", "--no-dereference", theirs, ours], check=False).returncode == 0
