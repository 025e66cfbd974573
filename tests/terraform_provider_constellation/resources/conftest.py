# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real Terraform, and real machines that have nothing to boot."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.machines import machines
from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.node_images import FakeImage
from terraform_provider_constellation.plugin.testing import reattached
from terraform_provider_constellation.provider import Constellation
from tests.terraform_provider_constellation.plugin.tools import empty_configuration
from tests.terraform_provider_constellation.resources.standing_cluster import IMAGE, StandingCluster
from tests.terraform_provider_constellation.resources.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[Workplace]:
    """Terraform, with the provider in this process; machines that it leaves are removed."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not installed")
    empty_configuration(tmp_path)
    place = Workplace(Path(program), "registry.terraform.io", tmp_path)
    with reattached(Constellation(), address=place.address) as environment:
        place.environment |= environment
        yield place
    for folder in tmp_path.glob("*/machines"):
        for machine in machines(folder):
            machine.destroy()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Folder of an image with nothing in it that boots."""
    return FakeImage().write(tmp_path / "image").path


@pytest.fixture
def standing(clean_cluster: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> StandingCluster:
    """A real API server for a cluster whose machines do not boot."""
    cluster = StandingCluster(clean_cluster, None, [])
    serve_our_kinds(clean_cluster.client())
    cluster.install(monkeypatch)
    return cluster


@pytest.fixture
def workspace(terraform: Workplace) -> Workspace:
    """Where machines would be."""
    folder = IMAGE.write(terraform.folder / "image").path
    return Workspace.create(terraform.folder / "cluster", ClusterSpec(image=folder.resolve(), workers=1))
