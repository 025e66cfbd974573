# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Terraform with our provider, and what it finds: images, nodes, an API server."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.node_images import FakeImage
from constellation_services.testing.verified_node import CLUSTER_ID, node_tpm
from tests.terraform_provider_constellation.real_terraform import Terraform, real_terraform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[Terraform]:
    """The real Terraform in an empty folder, with the provider in this process."""
    with real_terraform(tmp_path) as running:
        yield running


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine has its images: nowhere yet."""
    folder = tmp_path / "images"
    monkeypatch.setenv("CONSTELLATION_IMAGES", str(folder))
    return folder


@pytest.fixture
def image(images: Path) -> ImageFolder:
    """An image of this machine."""
    return FakeImage().write(images / "node")


@pytest.fixture(scope="session")
def tpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Swtpm, ...]]:
    """TPMs of two nodes of the cluster."""
    if shutil.which("swtpm") is None:
        pytest.skip("the program swtpm is not installed (Debian: swtpm)")
    folders = [tmp_path_factory.mktemp("tpm") for _ in range(2)]
    with node_tpm(folders[0], CLUSTER_ID) as one, node_tpm(folders[1], CLUSTER_ID) as other:
        yield one, other


@pytest.fixture
def known(clean_cluster: ControlPlane) -> ControlPlane:
    """A cluster whose API server knows our kinds of objects."""
    serve_our_kinds(clean_cluster.client())
    return clean_cluster
