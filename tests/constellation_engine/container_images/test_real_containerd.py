# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real containerd takes a seeded store for its own: the kubelet's names are there, and containers run from it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components import Origin, Store, our_manifest
from constellation_engine.container_images import Sources, StoreFacts, build_store
from constellation_engine.container_images.control_plane import SANDBOX
from constellation_engine.container_images.given_images import take_images
from constellation_engine.container_images.layer import write_layer
from constellation_engine.container_images.oci import Settings, write_image
from constellation_engine.container_images.store import DESCRIPTION
from constellation_engine.services_image import build as build_services
from constellation_engine.services_image import find_repository, machine_mirrors
from tests.constellation_engine.container_images.daemon import Daemon, prepared_containerd
from tests.constellation_engine.container_images.trees import digest_of_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.constellation_engine.container_images.daemon import Image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # programs may have to be built first
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs containers"),
    pytest.mark.skipif(shutil.which("runc") is None, reason="no runc here"),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt here to ask for a mirror of Debian"),
]

NEWEST = our_manifest().kubernetes[0]
SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs/snapshots"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StoreFacts:
    """A store with everything that a node image has."""
    folder, repository = tmp_path_factory.mktemp("store"), find_repository()
    services = build_services(
        folder / "services", repository=repository, mirrors=machine_mirrors(), report=lambda _: None
    )
    sources = Sources(Store(), repository, machine_mirrors())
    return build_store(
        folder / "store",
        kubernetes=NEWEST,
        services=services.layout,
        sources=sources,
        report=lambda _: None,
        given=take_images([str(given_image(folder))], folder / "given"),
    )


def given_image(folder: Path) -> Path:
    """Make an image as users have them: compressed, and its upper layer takes something away."""
    lower, upper = folder / "lower", folder / "upper"
    lower.mkdir()
    upper.mkdir()
    shutil.copy(Store().fetch(["kubectl"], only=Origin.BUILD)["kubectl"], lower / "program")
    (lower / "gone").touch()
    (upper / ".wh.gone").touch()
    layers = [write_layer(lower, folder / "lower.tar", "lower"), write_layer(upper, folder / "upper.tar", "upper")]
    write_image(folder / "image", "localhost/given", layers, Settings(user="0:0", entrypoint=["/program"]), tag="1")
    return folder / "image"


@pytest.fixture(scope="module")
def daemon(store: StoreFacts, repository: Path) -> Iterator[Daemon]:
    """A containerd that was seeded from it."""
    with prepared_containerd(store.folder, repository) as prepared, prepared.running():
        yield prepared


def reference(store: StoreFacts, name: str) -> str:
    return next(reference for reference in store.images if f"/{name}" in reference)


def by_digest(store: StoreFacts) -> str:
    """Give the other name of the image of the user."""
    return f"localhost/given@{store.images['localhost/given:1']}"


def run(daemon: Daemon, image: str, *command: str) -> str:
    return daemon.ctr("run", "--rm", image, f"test-{os.getpid()}", *command)


def test_the_kubelet_sees_every_image_and_may_remove_none(daemon: Daemon, store: StoreFacts) -> None:
    images = daemon.images()
    names = {name for image in images for name in image.names}
    assert names == {*store.images, SANDBOX, by_digest(store)}
    assert [image for image in images if not image.pinned] == []


@pytest.mark.parametrize(
    "image, command, said",
    [
        ("kube-apiserver", ["kube-apiserver", "--version"], f"Kubernetes v{NEWEST}"),
        ("kube-controller-manager", ["kube-controller-manager", "--version"], f"Kubernetes v{NEWEST}"),
        ("kube-scheduler", ["kube-scheduler", "--version"], f"Kubernetes v{NEWEST}"),
        ("kube-proxy", ["kube-proxy", "--version"], f"Kubernetes v{NEWEST}"),
        ("kube-proxy", ["nft", "--version"], "nftables v1."),
        ("etcd", ["etcd", "--version"], "etcd Version: 3."),
        ("etcd", ["etcdctl", "version"], "API version: 3."),
        ("coredns", ["/coredns", "-version"], "CoreDNS-1."),
        ("constellation-services", ["/usr/bin/constellation-services", "--help"], "usage: constellation-services"),
    ],
    ids=lambda value: value[0].rpartition("/")[2] if isinstance(value, list) else "",
)
def test_programs_run(daemon: Daemon, store: StoreFacts, image: str, command: list[str], said: str) -> None:
    assert said in run(daemon, reference(store, image), *command)


def test_an_image_of_the_user_runs_by_tag_and_by_digest(daemon: Daemon, store: StoreFacts) -> None:
    for name in ("localhost/given:1", by_digest(store)):
        assert f"v{NEWEST}" in run(daemon, name, "/program", "version", "--client")


def test_kube_proxy_changes_rules_of_its_network(daemon: Daemon, store: StoreFacts) -> None:
    image, rules = reference(store, "kube-proxy"), "add table ip kube-proxy; list tables"
    said = daemon.ctr("run", "--rm", "--cap-add", "CAP_NET_ADMIN", image, f"rules-{os.getpid()}", "nft", rules)
    assert "table ip kube-proxy" in said


def test_what_a_container_writes_stays_out_of_the_image(daemon: Daemon, store: StoreFacts) -> None:
    before = digest_of_tree(store.folder)
    write = "import pathlib; pathlib.Path('/etc/passwd').unlink(); pathlib.Path('/tmp/new').touch(); print('written')"
    image = reference(store, "constellation-services")
    command = ("run", "--rm", "--user", "0:0", image, f"writer-{os.getpid()}", "/usr/bin/python3.13", "-c", write)
    assert "written" in daemon.ctr(*command)
    assert digest_of_tree(store.folder) == before


def layers_of(daemon: Daemon) -> set[Path]:
    return {path for path in (daemon.root / SNAPSHOTS).iterdir() if path.is_symlink()}


def test_collecting_garbage_takes_nothing_away(daemon: Daemon, store: StoreFacts) -> None:
    links = layers_of(daemon)
    daemon.ctr("content", "prune", "references")
    assert layers_of(daemon) == links
    assert "usage:" in run(daemon, reference(store, "constellation-services"), "/usr/bin/constellation-services", "-h")


def test_snapshots_have_sizes_of_files_and_not_of_blocks(daemon: Daemon, store: StoreFacts) -> None:
    sizes = {line.split()[0]: line.split()[1:] for line in daemon.ctr("snapshots", "usage").splitlines()[1:]}
    assert len(sizes) == len(list((store.folder / SNAPSHOTS).iterdir()))
    assert all(float(size[0]) > 0 for size in sizes.values())


def test_a_reboot_finds_what_was_there_and_another_image_begins_anew(
    store: StoreFacts, repository: Path, tmp_path: Path
) -> None:
    def added(names: Iterable[Image]) -> bool:
        return any("localhost/added:1" in image.names for image in names)

    with prepared_containerd(store.folder, repository) as daemon:
        with daemon.running():
            daemon.ctr("image", "tag", reference(store, "etcd"), "localhost/added:1")
        with daemon.running():
            assert added(daemon.images())
        shutil.copytree(store.folder, tmp_path / "other", symlinks=True)
        (tmp_path / "other" / DESCRIPTION).write_text("another image")
        with replace(daemon, store=tmp_path / "other").running():
            assert not added(daemon.images())
            assert len(daemon.images()) == len(store.images)
