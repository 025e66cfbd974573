# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The real Terraform, and real machines that have nothing to boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.machines import machines
from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.node_images import FakeImage
from tests.terraform_provider_constellation.plugin.tools import TERRAFORM, program_of
from tests.terraform_provider_constellation.real_terraform import serving
from tests.terraform_provider_constellation.resources.standing_cluster import IMAGE, StandingCluster
from tests.terraform_provider_constellation.resources.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture
def terraform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workplace]:
    """Terraform, or the tool of a test's parameter, with the provider in this process.

    Machines that it leaves are removed.
    """
    registry: str = getattr(request, "param", TERRAFORM)
    with serving(Workplace(program_of(registry), registry, tmp_path)) as place:
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
