# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Images are called what kubeadm calls them; a list that we do not know is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_engine.components import Origin, Store, our_manifest
from constellation_engine.container_images.control_plane import (
    IMAGES,
    KUBEADM,
    SANDBOX,
    kubeadm_references,
    parse_references,
)
from constellation_engine.errors import ImageBuildError

LIST = """\
registry.k8s.io/kube-apiserver:v1.36.4
registry.k8s.io/kube-controller-manager:v1.36.4
registry.k8s.io/kube-scheduler:v1.36.4
registry.k8s.io/kube-proxy:v1.36.4
registry.k8s.io/coredns/coredns:v1.14.2
registry.k8s.io/pause:3.10.2
registry.k8s.io/etcd:3.6.8-0
"""


def test_each_line_is_a_reference() -> None:
    references = parse_references(LIST)
    assert "\n".join(map(str, references.values())) == LIST.strip()
    assert references["coredns"].repository == "registry.k8s.io/coredns/coredns"
    assert references["etcd"].tag == "3.6.8-0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        LIST.replace("registry.k8s.io/pause:3.10.2\n", ""),
        LIST.replace("pause", "breathe"),
        LIST + "registry.k8s.io/kube-dns:v1\n",
        LIST + "registry.k8s.io/pause:3.10.2\n",
        LIST.replace("registry.k8s.io/pause", "pause"),
        LIST.replace("3.10.2", f"3.10.2@sha256:{64 * '0'}"),
        LIST.replace("3.10.2", ""),
    ],
    ids=["nothing", "missing", "renamed", "more", "twice", "no registry", "digest", "no tag"],
)
def test_another_list_is_refused(text: str) -> None:
    with pytest.raises(ImageBuildError, match="expected kubeadm to list coredns, etcd"):
        parse_references(text)


@given(start=st.integers(0, len(LIST)), length=st.integers(0, 100), filling=st.text(max_size=20))
def test_a_damaged_list_gives_all_images_or_our_error(start: int, length: int, filling: str) -> None:
    try:
        references = parse_references(LIST[:start] + filling + LIST[start + length :])
    except ImageBuildError:
        return
    assert references.keys() == {image.name for image in IMAGES}


@pytest.mark.timeout(900)  # kubeadm may have to be built first
@pytest.mark.parametrize("version", our_manifest().kubernetes)
def test_kubeadm_of_every_version_lists_what_we_know(version: str) -> None:
    kubeadm = Store().fetch([KUBEADM], kubernetes=version, only=Origin.BUILD)[KUBEADM]
    references = kubeadm_references(kubeadm, version)
    assert str(references["kube-apiserver"]) == f"registry.k8s.io/kube-apiserver:v{version}"
    assert SANDBOX not in map(str, references.values())


def test_every_program_is_a_component() -> None:
    wanted = {program for image in IMAGES for program in image.programs}
    assert {component.name for component in our_manifest().select(list(wanted))} == wanted
