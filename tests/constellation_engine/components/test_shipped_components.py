# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of the repository and the Go module files beside it say the same."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from constellation_engine.components import Component, our_manifest
from constellation_engine.components.manifest import data_folder

WANTED = {
    "bridge",
    "containerd",
    "containerd-shim-runc-v2",
    "containerd-store",
    "coredns",
    "ctr",
    "etcd",
    "etcdctl",
    "host-local",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
    "loopback",
    "pause",
    "portmap",
}
EVERY = pytest.mark.parametrize("component", our_manifest().components, ids=lambda component: component.title)


@pytest.mark.parametrize("kubernetes", ["1.34", "1.35", "1.36"])
def test_every_version_has_every_component(kubernetes: str) -> None:
    names = [component.name for component in our_manifest().select((), kubernetes)]
    assert Counter(names) == Counter(WANTED)


@EVERY
def test_the_module_file_names_the_version_and_the_package(component: Component) -> None:
    text = (component.recipe.folder / "go.mod").read_text(encoding="utf-8")
    if component.recipe.package.startswith("components.internal/"):  # ours
        assert f"module {component.recipe.package}" in text
        return
    assert re.search(rf"^\t?(?:tool )?{re.escape(component.recipe.package)}$", text, re.MULTILINE)
    assert f" v{component.version}" in text
    assert (component.recipe.folder / "go.sum").stat().st_size > 1000


@EVERY
def test_the_version_is_in_every_address_and_variable(component: Component) -> None:
    major, minor, _ = component.version.split(".")
    allowed = {f"v{component.version}", major, minor, "", "clean"}
    assert {variable.partition("=")[2] for variable in component.recipe.variables} <= allowed
    assert component.download is None or f"v{component.version}" in component.download.url


def test_no_two_programs_have_the_same_hash() -> None:
    hashes = Counter(component.recipe.sha256 for component in our_manifest().components)
    assert hashes.most_common(1)[0][1] == 1


def test_every_folder_is_used() -> None:
    folders = {path for path in data_folder().iterdir() if path.is_dir()}
    assert folders == {component.recipe.folder for component in our_manifest().components}
