# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`examples/mini` is what a user would write: short, formatted, and its tests pass."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lightkube.resources.core_v1 import Node

from tests.terraform_provider_constellation.plugin.tools import BOTH, OPENTOFU, TERRAFORM
from tests.terraform_provider_constellation.resources.standing_cluster import IMAGE, PHASES, START_MACHINES

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.resources.standing_cluster import StandingCluster
    from tests.terraform_provider_constellation.resources.workplace import Workplace

EXAMPLE = Path(__file__).parents[3] / "examples" / "mini"
MOST_LINES = 40


@pytest.fixture
def example(terraform: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """The example, with an image that does not boot."""
    shutil.copytree(EXAMPLE, terraform.folder, dirs_exist_ok=True)
    monkeypatch.chdir(terraform.folder)  # as Terraform starts a provider
    terraform.environment["TF_VAR_image"] = str(IMAGE.write(terraform.folder / "image").path)
    return terraform


def test_it_is_short_and_formatted(example: Workplace) -> None:
    assert len((EXAMPLE / "main.tf").read_text().splitlines()) <= MOST_LINES
    assert example.run("fmt", "-check", "-recursive").out == ""


@pytest.mark.parametrize("terraform", BOTH, indirect=True)
def test_its_own_tests_pass(example: Workplace) -> None:
    result = example.run("test")
    assert (result.status, "3 passed, 0 failed" in result.text) == (0, True), result.text
    assert not (example.folder / "cluster").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("terraform", [TERRAFORM, OPENTOFU], indirect=True)
@pytest.mark.usefixtures("quick_tpm")
def test_machines_and_cluster_come_and_shrink_and_go(
    example: Workplace, standing: StandingCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{PHASES}._Run.start_machines", START_MACHINES)
    example.applied()
    assert example.run("output", "-json", "nodes").out.strip() == '{"control-plane-0":"Ready","worker-0":"Ready"}'
    assert not example.differs()
    example.environment["TF_VAR_workers"] = "0"
    text = example.applied().text
    assert '- "worker-0"' in text
    assert [node.metadata.name for node in _nodes(standing) if node.metadata] == ["control-plane-0"]
    assert not example.differs()
    assert example.run("destroy", "-auto-approve").status == 0
    assert not (example.folder / "cluster").exists()


def _nodes(standing: StandingCluster) -> list[Node]:
    return list(standing.client.list(Node))
