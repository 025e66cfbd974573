# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A store is built from real programs for each version of Kubernetes, twice, and takes the place of stores only."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components import Origin, Stage, Store, our_manifest
from constellation_engine.container_images import Sources, StoreFacts, build_store
from constellation_engine.container_images.control_plane import KUBEADM, kubeadm_references
from constellation_engine.errors import EngineError, ImageBuildError
from constellation_engine.services_image import find_repository, machine_mirrors
from tests.constellation_engine.container_images.trees import digest_of_tree

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.components import Progress
    from tests.constellation_engine.container_images.conftest import MakeImage, MakeLayer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # programs may have to be built first
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt here to ask for a mirror of Debian"),
]

VERSIONS = pytest.mark.parametrize("version", our_manifest().kubernetes)
NEWEST = our_manifest().kubernetes[0]


@pytest.fixture(scope="module")
def sources() -> Sources:
    """What the images of the control plane are built from."""
    return Sources(Store(), find_repository(), machine_mirrors())


@pytest.fixture
def services(make_image: MakeImage, make_layer: MakeLayer) -> Path:
    """Stands for the image of the services."""
    return make_image("constellation-services", make_layer({"usr/bin/constellation-services": b"#!"}))


def build(output: Path, services: Path, sources: Sources, version: str = NEWEST) -> StoreFacts:
    return build_store(output, kubernetes=version, services=services, sources=sources, report=lambda _: None)


@VERSIONS
def test_everything_that_kubeadm_looks_for_is_there(
    services: Path, sources: Sources, tmp_path: Path, version: str
) -> None:
    facts = build(tmp_path / "store", services, sources, version)
    kubeadm = Store().fetch([KUBEADM], kubernetes=version, only=Origin.BUILD)[KUBEADM]
    wanted = {str(reference) for reference in kubeadm_references(kubeadm, version).values()}
    assert facts.images.keys() == wanted | {"localhost/constellation-services:1"}
    described = json.loads((tmp_path / "store/containerd-store.json").read_text())
    assert described["images"] == dict(facts.images)


def test_the_facts_count_what_is_there(services: Path, sources: Sources, tmp_path: Path) -> None:
    facts = build(tmp_path / "store", services, sources)
    files = [path for path in facts.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert (facts.files, facts.size) == (len(files), sum(path.stat().st_size for path in files))
    assert 300 << 20 < facts.size < 600 << 20


def test_another_folder_umask_and_zone_give_the_same_bytes(
    services: Path, sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "store", services, sources)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "C")
    before = os.umask(0o077)
    try:
        build(tmp_path / "a folder with a longer name, and elsewhere/store", services, sources)
    finally:
        os.umask(before)
    other = tmp_path / "a folder with a longer name, and elsewhere/store"
    assert digest_of_tree(other) == digest_of_tree(tmp_path / "store")


def test_a_store_takes_the_place_of_a_store(services: Path, sources: Sources, tmp_path: Path) -> None:
    first = build(tmp_path / "output/store", services, sources)
    (first.folder / "left over").touch()
    second = build(tmp_path / "output/store", services, sources)
    assert second == first
    assert not (first.folder / "left over").exists()
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["store"]


def test_a_store_does_not_take_the_place_of_anything_else(services: Path, sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ImageBuildError, match="is no store"):
        build(tmp_path, services, sources)


def test_an_interrupted_build_leaves_the_store_that_was_there(services: Path, sources: Sources, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if (progress.component, progress.stage) == ("container store", Stage.READY):
            raise KeyboardInterrupt

    facts = build(tmp_path / "output/store", services, sources)
    before = digest_of_tree(facts.folder)
    with pytest.raises(KeyboardInterrupt):
        build_store(facts.folder, kubernetes=NEWEST, services=services, sources=sources, report=interrupt)
    assert digest_of_tree(facts.folder) == before
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["store"]


def test_services_that_are_no_image_are_named(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(ImageBuildError, match="nothing: expected the layout of an image"):
        build(tmp_path / "store", tmp_path / "nothing", sources)
    assert not (tmp_path / "store").exists()


def test_a_build_gives_up_in_time(services: Path, sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"took more than|gave up after"):
        build_store(
            tmp_path / "store",
            kubernetes=NEWEST,
            services=services,
            sources=sources,
            report=lambda _: None,
            timeout=1,
        )
    assert list(tmp_path.glob("*store*")) == []
