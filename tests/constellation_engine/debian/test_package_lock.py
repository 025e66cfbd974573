# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The list of Debian packages: written, read back, and refused if it says anything else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_engine.container_images import kube_proxy
from constellation_engine.debian.packages import Archive, Package, PackageList, read_lock, write_lock
from constellation_engine.errors import PackageLockError
from constellation_engine.services_image import packages as services
from constellation_engine.services_image.build import find_repository

if TYPE_CHECKING:
    from pathlib import Path

LISTS = pytest.mark.parametrize("listed", [services.LIST, kube_proxy.LIST], ids=lambda listed: listed.image)
WANTED = services.LIST.wanted
ONE = Package("libc6", "2.41-12", Archive.MAIN, "pool/main/g/glibc/libc6.deb", 1, 64 * "a")
PACKAGES = tuple(replace(ONE, name=name) for name in WANTED)
TEXT = write_lock(PACKAGES, "example")


def lock_of(folder: Path, text: str) -> Path:
    path = folder / "debian.toml"
    path.write_text(text, encoding="utf-8")
    return path


@LISTS
def test_the_shipped_list_is_as_we_write_it(listed: PackageList) -> None:
    file = find_repository() / listed.file
    text = file.read_text(encoding="utf-8")
    assert write_lock(read_lock(file, listed.wanted), listed.image) == text
    assert "://" not in text  # of a mirror


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert read_lock(lock_of(tmp_path, TEXT), WANTED) == PACKAGES


@pytest.mark.parametrize(
    "changed",
    [
        {"sha256": 63 * "a"},
        {"sha256": 64 * "G"},
        {"path": "/pool/main/libc6.deb"},
        {"path": "pool/../../libc6.deb"},
        {"path": "https://elsewhere.example/libc6.deb"},
        {"path": "pool/main/libc6.rpm"},
        {"size": 0},
        {"size": True},
        {"archive": "elsewhere"},
        {"name": "bash"},
    ],
)
def test_a_package_with_a_wrong_field_is_refused(tmp_path: Path, changed: dict[str, str]) -> None:
    packages = (replace(PACKAGES[0], **changed), *PACKAGES[1:])  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(PackageLockError):
        read_lock(lock_of(tmp_path, write_lock(packages, "example")), WANTED)


@pytest.mark.parametrize("packages", [(), PACKAGES[1:], (*PACKAGES, PACKAGES[0])], ids=["none", "missing", "twice"])
def test_a_list_of_other_packages_is_refused(tmp_path: Path, packages: tuple[Package, ...]) -> None:
    with pytest.raises(PackageLockError, match="expected base-files, libc6"):
        read_lock(lock_of(tmp_path, write_lock(packages, "example")), WANTED)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageLockError, match=r"debian\.toml"):
        read_lock(tmp_path / "debian.toml", WANTED)


@given(start=st.integers(0, len(TEXT)), length=st.integers(0, 200), filling=st.text(max_size=20))
def test_a_damaged_list_gives_a_list_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, filling: str
) -> None:
    text = TEXT[:start] + filling + TEXT[start + length :]
    path = lock_of(tmp_path_factory.mktemp("lock"), text)
    try:
        packages = read_lock(path, WANTED)
    except PackageLockError:
        return
    assert {package.name for package in packages} == set(WANTED)
