# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Images that a user gives are taken as they are; what a node cannot have is refused, and its file is named."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constellation_engine.container_images.given_images import size_of, take_images
from constellation_engine.errors import ImageBuildError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.constellation_engine.container_images.conftest import MakeImage, MakeLayer

INDEX = "application/vnd.oci.image.index.v1+json"
BLOBS = "io.containerd.content.v1.content/blobs/sha256"

Entries = list[dict[str, Any]]


@pytest.fixture
def layout(make_image: MakeImage, make_layer: MakeLayer) -> Path:
    """The layout of an image called localhost/shop:1."""
    return make_image("shop", make_layer({"program": b"#!"}))


def pack(layout: Path, compress: Callable[[bytes], bytes] = bytes) -> Path:
    """Make an archive of a layout."""
    file = layout.with_suffix(".tar")
    with tarfile.open(file, "w") as archive:
        for path in sorted(layout.rglob("*")):
            archive.add(path, path.relative_to(layout), recursive=False)
    file.write_bytes(compress(file.read_bytes()))
    return file


def entries_of(layout: Path) -> Entries:
    found: Entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    return found


def write_entries(layout: Path, entries: Entries) -> Path:
    (layout / "index.json").write_text(json.dumps({"manifests": entries}))
    return layout


def add_blob(layout: Path, record: object) -> dict[str, Any]:
    """Add a document; give what leads to it."""
    data = json.dumps(record).encode()
    sha256 = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / sha256).write_bytes(data)
    return {"mediaType": INDEX, "digest": f"sha256:{sha256}", "size": len(data)}


@pytest.mark.parametrize("compress", [None, bytes, gzip.compress, lzma.compress], ids=["folder", "tar", "gzip", "xz"])
def test_folders_and_archives_are_taken_with_their_names(
    layout: Path, tmp_path: Path, compress: Callable[[bytes], bytes] | None
) -> None:
    file = pack(layout, compress) if compress else layout
    (image,) = take_images([str(file)], tmp_path / "taken")
    (entry,) = entries_of(layout)
    assert (image.reference, image.digest, image.others) == ("localhost/shop:1", entry["digest"], ())
    names = [found["annotations"]["io.containerd.image.name"] for found in entries_of(image.layout)]
    assert names == ["localhost/shop:1", f"localhost/shop@{entry['digest']}"]
    assert size_of([image]) == sum(path.stat().st_size for path in (layout / "blobs/sha256").iterdir())


def test_a_name_of_the_user_takes_the_place_of_all_others(layout: Path, tmp_path: Path) -> None:
    (image,) = take_images([f"web:2={pack(layout)}"], tmp_path / "taken")
    assert image.reference == "docker.io/library/web:2"


def test_a_file_may_have_the_sign_in_its_name(layout: Path, tmp_path: Path) -> None:
    file = pack(layout).rename(tmp_path / "a=b.tar")
    assert take_images([str(file)], tmp_path / "taken")[0].reference == "localhost/shop:1"


@pytest.mark.parametrize(
    "annotations, names",
    [
        ({"org.opencontainers.image.ref.name": "example.com/shop:2"}, ["example.com/shop:2"]),
        (
            {"org.opencontainers.image.ref.name": "2", "io.containerd.image.name": "docker.io/library/shop:2"},
            ["docker.io/library/shop:2"],
        ),
    ],
    ids=["skopeo", "docker"],
)
def test_either_annotation_names_an_image(
    layout: Path, tmp_path: Path, annotations: dict[str, str], names: list[str]
) -> None:
    write_entries(layout, [{**entry, "annotations": annotations} for entry in entries_of(layout)])
    (image,) = take_images([str(layout)], tmp_path / "taken")
    assert [image.reference, *image.others] == names


def test_all_names_are_kept(layout: Path, tmp_path: Path) -> None:
    (entry,) = entries_of(layout)
    other = {**entry, "annotations": {"io.containerd.image.name": "localhost/shop:latest"}}
    (image,) = take_images([str(write_entries(layout, [entry, other]))], tmp_path / "taken")
    assert [image.reference, *image.others] == ["localhost/shop:1", "localhost/shop:latest"]


def test_the_image_for_this_platform_is_found_within_indexes(layout: Path, tmp_path: Path) -> None:
    (entry,) = entries_of(layout)
    attestation = {**entry, "digest": f"sha256:{64 * '0'}", "platform": {"os": "unknown", "architecture": "unknown"}}
    inner = add_blob(layout, {"manifests": [attestation, entry]})
    write_entries(layout, [{**inner, "annotations": {"io.containerd.image.name": "localhost/many:1"}}])
    (image,) = take_images([f"localhost/many:1={layout}"], tmp_path / "taken")
    names = [found["annotations"]["io.containerd.image.name"] for found in entries_of(image.layout)]
    assert image.digest == entry["digest"]
    assert names[1:] == [f"localhost/many@{entry['digest']}", f"localhost/many@{inner['digest']}"]


def drop_name(layout: Path) -> None:
    write_entries(layout, [{**entry, "annotations": {}} for entry in entries_of(layout)])


def name_it(name: str) -> Callable[[Path], None]:
    def change(layout: Path) -> None:
        annotations = {"io.containerd.image.name": name}
        write_entries(layout, [{**entry, "annotations": annotations} for entry in entries_of(layout)])

    return change


def make_it_for_arm(layout: Path) -> None:
    platform = {"os": "linux", "architecture": "arm64"}
    write_entries(layout, [{**entry, "platform": platform} for entry in entries_of(layout)])


def make_its_configuration_for_arm(layout: Path) -> None:
    (entry,) = entries_of(layout)
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    manifest["config"] = add_blob(layout, {"os": "linux", "architecture": "arm64"})
    write_entries(layout, [{**entry, **add_blob(layout, manifest), "mediaType": entry["mediaType"]}])


def add_another(layout: Path) -> None:
    (entry,) = entries_of(layout)
    write_entries(layout, [entry, {**entry, "digest": f"sha256:{64 * '0'}"}])


def damage_the_manifest(layout: Path) -> None:
    (entry,) = entries_of(layout)
    blob = layout / "blobs" / entry["digest"].replace(":", "/")
    blob.write_bytes(blob.read_bytes() + b" ")


def each_layer(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def change_layers(layout: Path) -> None:
        for blob in list((layout / "blobs/sha256").iterdir()):
            if not blob.read_bytes().startswith(b"{"):
                change(blob)

    return change_layers


@pytest.mark.parametrize(
    "change, reason",
    [
        (drop_name, "the image has no name"),
        (name_it("example.com/shop"), "expected the name of an image with a tag"),
        (name_it("registry.k8s.io/pause:3.9"), "registry.k8s.io/pause:3.9 is the name of an image that every node has"),
        (name_it("localhost/constellation-pause:1"), "is the name of an image that every node has"),
        (make_it_for_arm, "expected an image for linux/amd64, got linux/arm64"),
        (make_its_configuration_for_arm, "expected an image for linux/amd64, got linux/arm64"),
        (lambda layout: write_entries(layout, []), "expected an image for linux/amd64, got no image at all"),
        (add_another, "expected one image, got 2"),
        (damage_the_manifest, "expected a blob with the digest"),
        (each_layer(lambda blob: blob.write_bytes(b"evil")), "expected a blob with the digest"),
        (each_layer(lambda blob: blob.unlink()), "which is not there"),
        (lambda layout: (layout / "oci-layout").unlink(), "expected an OCI image layout"),
        (lambda layout: (layout / "index.json").write_text("{"), "index.json: expected JSON"),
        (lambda layout: (layout / "index.json").write_text("[]"), "expected a JSON object"),
        (lambda layout: write_entries(layout, [{"digest": "../../etc/passwd"}]), "expected mediaType, digest and size"),
    ],
    ids=[
        *("nameless", "no tag", "ours", "sandbox", "platform", "configuration", "none", "two", "manifest", "layer"),
        *("missing layer", "no layout", "no JSON", "no object", "no descriptor"),
    ],
)
def test_what_a_node_cannot_have_is_refused(
    layout: Path, tmp_path: Path, change: Callable[[Path], object], reason: str
) -> None:
    change(layout)
    file = pack(layout)
    with pytest.raises(ImageBuildError, match=reason) as caught:
        take_images([str(file)], tmp_path / "taken")
    assert str(caught.value).startswith(f"{file}: ")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no archive")
    with pytest.raises(ImageBuildError, match=r"notes\.txt: expected a tar archive"):
        take_images([str(tmp_path / "notes.txt")], tmp_path / "taken")
    with pytest.raises(ImageBuildError, match="nothing: expected the archive or the folder of an image"):
        take_images([str(tmp_path / "nothing")], tmp_path / "taken")


def test_an_archive_of_an_old_docker_is_named(layout: Path, tmp_path: Path) -> None:
    (layout / "oci-layout").rename(layout / "manifest.json")
    with pytest.raises(ImageBuildError, match="got an archive of an old Docker") as caught:
        take_images([str(pack(layout))], tmp_path / "taken")
    assert "skopeo copy docker-archive:" in caught.value.hint


def test_a_name_is_taken_once(layout: Path, tmp_path: Path) -> None:
    file = pack(layout)
    with pytest.raises(ImageBuildError, match="another image is called localhost/shop:1, too"):
        take_images([str(file), f"localhost/shop:1={layout}"], tmp_path / "taken")


def test_an_archive_writes_nowhere_else(layout: Path, tmp_path: Path) -> None:
    file = pack(layout)
    with tarfile.open(file, "a") as archive:
        link = tarfile.TarInfo("blobs/sha256/" + 64 * "0")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "out")
        for entry in (tarfile.TarInfo("../out"), tarfile.TarInfo("/out"), link):
            archive.addfile(entry)
    take_images([str(file)], tmp_path / "taken")
    assert sorted(path.name for path in tmp_path.iterdir() if not path.is_file()) == ["layouts", "taken"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.integers(0, 500), length=st.integers(0, 300), filling=st.binary(max_size=50))
def test_a_damaged_index_gives_an_image_or_our_error(
    layout: Path, tmp_path: Path, start: int, length: int, filling: bytes
) -> None:
    copy, taken = tmp_path / "copy", tmp_path / "taken"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.rmtree(taken, ignore_errors=True)
    shutil.copytree(layout, copy)
    data = (layout / "index.json").read_bytes()
    (copy / "index.json").write_bytes(data[:start] + filling + data[start + length :])
    try:
        take_images([str(copy)], taken)
    except ImageBuildError:
        return
    assert (taken / "0/index.json").is_file()


def test_the_store_takes_them(store_program: Path, layout: Path, tmp_path: Path) -> None:
    (image,) = take_images([str(pack(layout))], tmp_path / "taken")
    subprocess.run([store_program, tmp_path / "store", image.layout], check=True, timeout=60)
    kept = {path.name for path in (tmp_path / "store" / BLOBS).iterdir()}
    assert image.digest.removeprefix("sha256:") in kept  # as it came, so that pods find it by its digest
