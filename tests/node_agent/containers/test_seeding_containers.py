# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""containerd's folder is filled once from a store, anew from another one, and again after an interruption."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from node_agent.container_store import seed
from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path

OVERLAYS = "io.containerd.snapshotter.v1.overlayfs"
FILES = {
    "containerd-store.json": "first",
    "io.containerd.content.v1.content/blobs/sha256/00": "a manifest",
    "io.containerd.metadata.v1.bolt/meta.db": "names",
    f"{OVERLAYS}/metadata.db": "snapshots",
    f"{OVERLAYS}/snapshots/1/fs/bin/program": "a large file",
    f"{OVERLAYS}/snapshots/2/fs/bin/program": "another large file",
}


def fill(folder: Path, description: str = "first") -> Path:
    for name, content in (FILES | {"containerd-store.json": description}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The store in the measured root."""
    return fill(tmp_path / "image")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What becomes containerd's folder."""
    return tmp_path / "state" / "containerd"


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_everything_can_be_read(source: Path, root: Path) -> None:
    seed(source, root)
    for name, content in FILES.items():
        assert (root / name).read_text() == content


def test_layers_are_links_and_the_rest_is_copied(source: Path, root: Path) -> None:
    seed(source, root)
    links = {path.name: path.readlink() for path in root.rglob("*") if path.is_symlink()}
    assert links == {number: source / OVERLAYS / "snapshots" / number for number in ("1", "2")}


def test_what_containerd_writes_does_not_reach_the_image(source: Path, root: Path) -> None:
    seed(source, root)
    (root / "io.containerd.metadata.v1.bolt/meta.db").write_text("more names")
    assert contents(source) == FILES


def test_nobody_but_root_looks_inside(source: Path, root: Path) -> None:
    before = os.umask(0)
    try:
        seed(source, root)
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_what_containerd_added_stays_over_a_reboot(source: Path, root: Path) -> None:
    seed(source, root)
    (root / OVERLAYS / "snapshots/3/fs").mkdir(parents=True)
    (root / "io.containerd.metadata.v1.bolt/meta.db").write_text("more names")
    seed(source, root)
    assert (root / OVERLAYS / "snapshots/3/fs").is_dir()
    assert (root / "io.containerd.metadata.v1.bolt/meta.db").read_text() == "more names"


def test_another_image_begins_anew(source: Path, root: Path) -> None:
    seed(source, root)
    (root / OVERLAYS / "snapshots/3/fs").mkdir(parents=True)
    (root / "a file").touch()
    fill(source, "second")
    seed(source, root)
    assert contents(root).keys() == {name for name in FILES if "/snapshots/" not in name}
    assert (root / "containerd-store.json").read_text() == "second"
    assert contents(source).keys() == FILES.keys()  # links were removed, not what they led to


def test_links_into_an_image_that_is_gone_are_replaced(source: Path, root: Path) -> None:
    seed(source, root)
    other = source.rename(source.with_name("moved"))
    fill(other, "second")
    seed(other, root)
    assert (root / OVERLAYS / "snapshots/1").readlink() == other / OVERLAYS / "snapshots/1"


def test_a_folder_that_somebody_else_filled_begins_anew(source: Path, root: Path) -> None:
    (root / OVERLAYS / "snapshots/1/fs").mkdir(parents=True)
    seed(source, root)
    assert (root / OVERLAYS / "snapshots/1").is_symlink()


class Interruption(BaseException):
    """Comes where a power failure might."""


@pytest.mark.parametrize("writes", range(4))
def test_an_interrupted_seeding_is_repeated(
    source: Path, root: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", Mock(side_effect=[*writes * [None], Interruption]))
        with pytest.raises(Interruption):
            seed(source, root)
    assert not (root / "containerd-store.json").exists()
    seed(source, root)
    assert contents(root).keys() == {name for name in FILES if "/snapshots/" not in name}


def test_an_image_without_a_store_is_an_error_that_stays(tmp_path: Path, root: Path) -> None:
    with pytest.raises(PermanentError, match="cannot be given its images"):
        seed(tmp_path / "nothing", root)
    assert not root.exists()


def test_a_folder_that_cannot_be_written_is_an_error_that_stays(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match="cannot be given its images"):
        seed(source, tmp_path / "file" / "containerd")
