# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Layers and layouts depend on names and contents, and on nothing else; nothing is lost by writing one."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.container_images.layer import Layer, write_layer
from constellation_engine.container_images.oci import Settings, check_replaceable, write_image
from constellation_engine.errors import ImageBuildError

if TYPE_CHECKING:
    from pathlib import Path

ALWAYS = "37c56286c4c201f3a96fc0479244389fa844ae01cee8371704c7b2574ddcb3b4"
SETTINGS = Settings(user="65532:65532", entrypoint=["/usr/bin/program"], labels={"a": "b"})


def fill(folder: Path, *, backwards: bool = False) -> Path:
    """The same files, made in one order or the other."""
    for name in sorted(("b/program", "b/data", "a.txt", "tmp/x", "b.c", "ü"), reverse=backwards):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
        os.utime(path, (1_000_000_000 + backwards, 0))
    (folder / "b" / "program").chmod(0o700)
    (folder / "link").symlink_to("/usr/absolute")
    return folder


def layer_of(folder: Path, *, backwards: bool = False) -> Layer:
    folder.mkdir()
    return write_layer(fill(folder / "root", backwards=backwards), folder / "layer.tar", "files")


def entries(layer: Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer.file) as archive:
        return {entry.name: entry for entry in archive}


def test_umask_order_and_time_do_not_show(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        for umask, backwards in ((0o000, False), (0o022, True), (0o077, False)):
            os.umask(umask)
            assert layer_of(tmp_path / oct(umask), backwards=backwards).sha256 == ALWAYS
    finally:
        os.umask(before)


def test_a_layer_is_in_order_and_belongs_to_root(tmp_path: Path) -> None:
    found = entries(layer_of(tmp_path / "layer"))
    assert list(found) == ["a.txt", "b", "b/data", "b/program", "b.c", "link", "tmp", "tmp/x", "ü"]
    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) for entry in found.values()} == {
        (0, 0, "", "", 0)
    }


def test_everybody_reads_and_programs_run(tmp_path: Path) -> None:
    modes = {name: entry.mode for name, entry in entries(layer_of(tmp_path / "layer")).items()}
    assert modes == {
        "a.txt": 0o644,
        "b": 0o755,
        "b/data": 0o644,
        "b/program": 0o755,
        "b.c": 0o644,
        "link": 0o777,
        "tmp": 0o1777,
        "tmp/x": 0o644,
        "ü": 0o644,
    }


def test_a_digest_is_that_of_the_file(tmp_path: Path) -> None:
    layer = layer_of(tmp_path / "layer")
    content = layer.file.read_bytes()
    assert (layer.sha256, layer.size) == (hashlib.sha256(content).hexdigest(), len(content))


def read(layout: Path, descriptor: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """Read a document as its descriptor demands it."""
    data = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == descriptor["digest"]
    assert len(data) == descriptor["size"]
    return json.loads(data)


def test_a_layout_leads_from_index_to_layers(tmp_path: Path) -> None:
    layer = layer_of(tmp_path / "layer")
    layout = tmp_path / "image"
    digest = write_image(layout, "example", [layer], SETTINGS)
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["digest"] == digest
    assert entry["annotations"]["io.containerd.image.name"] == f"example@{digest}"
    manifest = read(layout, entry)
    configuration = read(layout, manifest["config"])
    assert [item["digest"] for item in manifest["layers"]] == [f"sha256:{layer.sha256}"]
    assert configuration["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{layer.sha256}"]}
    assert configuration["config"]["User"] == "65532:65532"


def test_a_layout_has_the_blobs_that_it_names_and_no_others(tmp_path: Path) -> None:
    layer = layer_of(tmp_path / "layer")
    write_image(tmp_path / "image", "example", [layer], SETTINGS)
    assert len(list((tmp_path / "image" / "blobs" / "sha256").iterdir())) == 3


def test_an_image_takes_the_place_of_an_image(tmp_path: Path) -> None:
    layer = layer_of(tmp_path / "layer")
    digests = []
    for _ in range(2):
        check_replaceable(tmp_path / "image")
        digests.append(write_image(tmp_path / "image", "example", [layer], SETTINGS))
    assert digests[0] == digests[1]
    assert {path.name for path in tmp_path.iterdir()} == {"layer", "image"}


def test_an_image_does_not_take_the_place_of_anything_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ImageBuildError, match="is no image"):
        check_replaceable(tmp_path)


@pytest.mark.parametrize("name", ["new", "."])
def test_an_empty_folder_or_none_may_be_used(tmp_path: Path, name: str) -> None:
    check_replaceable(tmp_path / name)


def test_a_file_does_not_become_an_image(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageBuildError, match="is no image"):
        check_replaceable(tmp_path / "file")
