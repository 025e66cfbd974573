# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program `containerd-store` unpacks images to the same bytes every time, and refuses what a node cannot have."""

from __future__ import annotations

import gzip
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
        (entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "expected a file, folder or link"),
        (entry("fifo", type=tarfile.FIFOTYPE), "expected a file, folder or link"),
        (entry("file", uid=65536), "expected an owner from 0 to 65535, got 65536:0"),
        (entry("file", gid=65536), "expected an owner from 0 to 65535, got 0:65536"),
        (entry("again", type=tarfile.LNKTYPE, linkname="nothing"), "no such file"),
    ],
    ids=["device", "pipe", "user", "group", "dangling hard link"],
)
def test_what_nobody_can_unpack_is_refused(
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


def unpacked(program: Path, tmp_path: Path, *layouts: Path) -> dict[str, Path]:
    """Unpack images, and give what snapshots hold by numbers and names."""
    result = unpack(program, tmp_path / "store", *layouts)
    assert (result.returncode, result.stderr) == (0, "")
    snapshots = tmp_path / "store" / SNAPSHOTS
    return {str(path.relative_to(snapshots)): path for path in snapshots.rglob("*") if not path.is_dir()}


def folder(name: str, **fields: object) -> tarfile.TarInfo:
    return entry(name, type=tarfile.DIRTYPE, mode=0o755, **fields)


@pytest.mark.parametrize(
    "upper, left",
    [
        ([folder("etc"), entry("etc/.wh.passwd")], ["etc/group"]),
        ([folder("etc"), entry("etc/.wh..wh..opq"), entry("etc/new")], ["etc/new"]),
        ([entry(".wh.etc")], []),
        ([entry("also", type=tarfile.LNKTYPE, linkname="etc/group")], ["also", "etc/group", "etc/passwd"]),
        ([entry("etc/new")], ["etc/group", "etc/new", "etc/passwd"]),  # says nothing of the folder
    ],
    ids=["whiteout", "opaque", "whole folder", "hard link", "unnamed folder"],
)
def test_a_layer_that_does_not_stand_alone_becomes_one_with_those_below(
    store_program: Path,
    make_image: MakeImage,
    make_layer: MakeLayer,
    tmp_path: Path,
    upper: list[tarfile.TarInfo],
    left: list[str],
) -> None:
    base, top = make_layer({"etc/passwd": b"root", "etc/group": b"root"}), make_layer({"top": b""})
    found = unpacked(store_program, tmp_path, make_image("one", base, make_layer({}, *upper), top))
    assert sorted(found) == [*(f"1/fs/{name}" for name in left), "2/fs/top"]


def zstandard(data: bytes) -> bytes:
    program = shutil.which("zstd") or pytest.skip("no zstd here")
    return subprocess.run([program, "-q"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("compress", [gzip.compress, zstandard], ids=["gzip", "zstd"])
def test_layers_may_be_compressed(
    store_program: Path,
    make_image: MakeImage,
    make_layer: MakeLayer,
    tmp_path: Path,
    compress: Callable[[bytes], bytes],
) -> None:
    layer = make_layer({"base": b"base"})
    layout = make_image("one", layer)
    place = layout / "blobs/sha256" / layer.sha256
    place.write_bytes(compress(place.read_bytes()))
    (file,) = unpacked(store_program, tmp_path, layout).values()
    assert file.read_bytes() == b"base"


def test_owners_are_noted_as_they_are_in_the_end(
    store_program: Path, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    lower = make_layer(
        {},
        folder("var", uid=7),
        entry("run", type=tarfile.SYMTYPE, linkname="var"),
        entry("var/mine", uid=1000, gid=1000),
        entry("var/given", uid=1000),
        entry("var/gone", uid=1000),
    )
    upper = make_layer({}, entry("run/new", gid=42), entry("run/.wh.gone"), entry("run/given"))
    unpacked(store_program, tmp_path, make_image("one", lower, upper))
    owners = json.loads((tmp_path / "store/owners.json").read_bytes())
    below = f"{SNAPSHOTS}/1/fs/var"
    assert owners == {below: [7, 0], f"{below}/mine": [1000, 1000], f"{below}/new": [0, 42]}


def test_no_program_keeps_rights_of_its_owner(
    store_program: Path, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    su, ping = entry("su", mode=0o6755), entry("ping", mode=0o755)
    ping.pax_headers = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00 \x00\x00"}
    link = entry("also", type=tarfile.LNKTYPE, linkname="su", mode=0o4755)
    found = unpacked(store_program, tmp_path, make_image("one", make_layer({}, su, ping, link)))
    assert [file.stat().st_mode & 0o7777 for file in found.values()] == [0o755] * 3
    assert [os.listxattr(file) for file in found.values()] == [[]] * 3


def test_images_may_have_the_same_configuration(
    store_program: Path, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    layer = make_layer({"base": b"base"})
    assert list(unpacked(store_program, tmp_path, make_image("one", layer), make_image("two", layer))) == ["1/fs/base"]


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
