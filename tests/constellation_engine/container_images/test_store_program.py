# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program `containerd-store` unpacks images of ours to the same bytes every time, and refuses all others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from tests.constellation_engine.container_images.trees import digest_of_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.constellation_engine.container_images.conftest import MakeImage, MakeLayer

pytestmark = pytest.mark.timeout(900)  # the program may have to be built first

SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs/snapshots"
BLOBS = "io.containerd.content.v1.content/blobs/sha256"
NOBODY = 65534


def unpack(program: Path, store: Path, *layouts: Path, user: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, store, *layouts], capture_output=True, text=True, check=False, user=user, timeout=60
    )


def entry(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


@pytest.fixture
def layouts(make_image: MakeImage, make_layer: MakeLayer) -> list[Path]:
    """Three images, of which two stand on the same layer."""
    base, middle = make_layer({"base": b"base"}), make_layer({"middle": b"middle", "base": b"covered"})
    return [
        make_image("first", base, middle),
        make_image("second", base, make_layer({"other": b"other"})),
        make_image("third", make_layer({"third": b"third"})),
    ]


def test_layers_are_folders_and_what_is_shared_is_there_once(
    store_program: Path, layouts: list[Path], tmp_path: Path
) -> None:
    assert unpack(store_program, tmp_path / "store", *layouts).stderr == ""
    files = sorted(path for path in (tmp_path / "store" / SNAPSHOTS).rglob("*") if path.is_file())
    assert [(path.name, path.read_bytes()) for path in files] == [
        ("base", b"base"),
        ("base", b"covered"),
        ("middle", b"middle"),
        ("other", b"other"),
        ("third", b"third"),
    ]


def test_manifests_and_configurations_are_kept_and_archives_are_not(
    store_program: Path, layouts: list[Path], tmp_path: Path
) -> None:
    unpack(store_program, tmp_path / "store", *layouts)
    blobs = {path.name: path.read_bytes() for path in (tmp_path / "store" / BLOBS).iterdir()}
    assert len(blobs) == 2 * len(layouts)
    assert all("mediaType" in record or "rootfs" in record for record in map(json.loads, blobs.values()))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_same_images_give_the_same_bytes(
    store_program: Path, layouts: list[Path], tmp_path: Path, umask: int
) -> None:
    unpack(store_program, tmp_path / "store", *layouts)
    before = os.umask(umask)
    try:
        unpack(store_program, tmp_path / "a longer name for the store", *layouts)
    finally:
        os.umask(before)
    assert digest_of_tree(tmp_path / "a longer name for the store") == digest_of_tree(tmp_path / "store")


def test_another_order_of_images_is_another_store(store_program: Path, layouts: list[Path], tmp_path: Path) -> None:
    unpack(store_program, tmp_path / "store", *layouts)
    unpack(store_program, tmp_path / "other", *reversed(layouts))
    assert digest_of_tree(tmp_path / "other") != digest_of_tree(tmp_path / "store")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the user `nobody`, who can reach what lies beside it."""
    with TemporaryDirectory(prefix="containerd-store-") as name:
        Path(name).chmod(0o755)
        (Path(name) / "home").mkdir()
        os.chown(Path(name) / "home", NOBODY, NOBODY)
        yield Path(name) / "home"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_gets_the_same_bytes(
    store_program: Path, layouts: list[Path], tmp_path: Path, home: Path
) -> None:
    program = Path(shutil.copy(store_program, home.parent))
    copies = [shutil.copytree(layout, home.parent / layout.name) for layout in layouts]
    assert unpack(program, home / "store", *copies, user=NOBODY).stderr == ""
    unpack(store_program, tmp_path / "store", *layouts)
    assert digest_of_tree(home / "store") == digest_of_tree(tmp_path / "store")
    assert (home / "store").stat().st_uid == NOBODY


@pytest.mark.parametrize(
    "other, reason",
    [
        (entry("file", uid=1), "expected an owner 0:0, got 1:0"),
        (entry("file", gid=65532), "expected an owner 0:0, got 0:65532"),
        (entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "expected a file, folder or symbolic link"),
        (entry("fifo", type=tarfile.FIFOTYPE), "expected a file, folder or symbolic link"),
        (entry("again", type=tarfile.LNKTYPE, linkname="base"), "expected a file, folder or symbolic link"),
        (entry("etc/.wh.passwd"), "would take away a file"),
        (entry("etc/.wh..wh..opq"), "would take away a file"),
    ],
    ids=["user", "group", "device", "pipe", "hard link", "whiteout", "opaque"],
)
def test_a_layer_that_is_not_like_ours_is_refused(
    store_program: Path,
    make_image: MakeImage,
    make_layer: MakeLayer,
    tmp_path: Path,
    other: tarfile.TarInfo,
    reason: str,
) -> None:
    result = unpack(store_program, tmp_path / "store", make_image("odd", make_layer({"base": b""}, other)))
    assert result.returncode == 1
    assert reason in result.stderr
    assert not (tmp_path / "store").exists()


def test_a_path_does_not_lead_out_of_the_store(
    store_program: Path, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    out = entry("out", type=tarfile.SYMTYPE, linkname=str(tmp_path))
    layout = make_image("odd", make_layer({}, out, entry("out/written"), entry("../../../../written")))
    unpack(store_program, tmp_path / "store", layout)
    assert not (tmp_path / "written").exists()
    assert not (tmp_path / "store" / "written").exists()


def test_a_layer_with_another_digest_is_refused(
    store_program: Path, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    layer = make_layer({"base": b"base"})
    layout = make_image("odd", layer)
    with (layout / "blobs/sha256" / layer.sha256).open("r+b") as file:
        file.seek(512)
        file.write(b"evil")
    result = unpack(store_program, tmp_path / "store", layout)
    assert result.returncode == 1
    assert f"does not have the digest sha256:{layer.sha256}" in result.stderr


def test_a_manifest_with_another_digest_is_refused(
    store_program: Path, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    layout = make_image("odd", make_layer({}))
    (named,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = layout / "blobs" / named["digest"].replace(":", "/")
    manifest.write_bytes(manifest.read_bytes() + b" ")
    result = unpack(store_program, tmp_path / "store", layout)
    assert (result.returncode, f"expected a blob {named['digest']}" in result.stderr) == (1, True)


def change_index(layout: Path, change: Callable[[list[dict[str, object]]], object]) -> Path:
    index = json.loads((layout / "index.json").read_bytes())
    change(index["manifests"])
    (layout / "index.json").write_text(json.dumps(index))
    return layout


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda entries: entries.clear(), "expected an image, got none"),
        (lambda entries: entries[0].pop("annotations"), "expected the annotation io.containerd.image.name"),
        (lambda entries: entries.append({**entries[0], "digest": f"sha256:{64 * '0'}"}), "expected one image"),
        (lambda entries: entries.append(entries[0]), "already exists"),
    ],
    ids=["none", "nameless", "two", "twice"],
)
def test_a_layout_has_one_image_and_its_names(
    store_program: Path,
    make_image: MakeImage,
    make_layer: MakeLayer,
    tmp_path: Path,
    change: Callable[[list[dict[str, object]]], object],
    reason: str,
) -> None:
    layout = change_index(make_image("odd", make_layer({})), change)
    result = unpack(store_program, tmp_path / "store", layout)
    assert (result.returncode, reason in result.stderr) == (1, True)


def test_a_store_that_is_there_is_left_alone(store_program: Path, layouts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    result = unpack(store_program, tmp_path / "store", *layouts)
    assert (result.returncode, "file exists" in result.stderr) == (1, True)


def test_what_is_no_layout_is_named(store_program: Path, tmp_path: Path) -> None:
    result = unpack(store_program, tmp_path / "store", tmp_path / "nothing")
    assert (result.returncode, f"{tmp_path}/nothing" in result.stderr) == (1, True)


def test_the_program_says_how_it_is_used(store_program: Path) -> None:
    result = subprocess.run([store_program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (64, "usage: containerd-store STORE LAYOUT...\n")
