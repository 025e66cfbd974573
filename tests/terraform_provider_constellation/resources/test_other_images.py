# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Another image in the configuration: machines of a cluster go over to it in place, by the real Terraform."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from constellation_engine.local_cluster import Workspace
from constellation_engine.machines import Machine
from constellation_engine.testing.node_images import BUILD, FakeImage
from tests.constellation_engine.upgrade.standing_nodes import Nodes
from tests.terraform_provider_constellation.resources.standing_cluster import IMAGE
from tests.terraform_provider_constellation.resources.test_mini_example import EXAMPLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terraform_provider_constellation.resources.standing_cluster import StandingCluster
    from tests.terraform_provider_constellation.resources.workplace import Workplace

MACHINES = "constellation_local_machines.mini"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("quick_tpm")]


@pytest.fixture
def nodes(standing: StandingCluster, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    made = Nodes(standing)
    made.install(monkeypatch)
    return made


@pytest.fixture
def mini(terraform: Workplace, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """The cluster of the example, up."""
    shutil.copytree(EXAMPLE, terraform.folder, dirs_exist_ok=True)
    monkeypatch.chdir(terraform.folder)
    use(terraform, write(terraform, "before"))
    terraform.applied()
    nodes.booted = dict.fromkeys(("control-plane-0", "worker-0"), "before")
    nodes.events.clear()
    return terraform


def write(terraform: Workplace, name: str, image: FakeImage = IMAGE) -> Path:
    return replace(image, root=name.encode() * 4096).write(terraform.folder / name).path


def use(terraform: Workplace, image: Path) -> None:
    terraform.environment["TF_VAR_image"] = str(image)


def test_machines_go_over_in_place(mini: Workplace, nodes: Nodes) -> None:
    uid = mini.state("constellation_local_machines", "mini")["uid"]
    use(mini, write(mini, "after"))
    change = mini.change(MACHINES)
    assert change["actions"] == ["update"]
    mini.applied()
    assert nodes.events == [
        "worker-0 boots after",
        "worker-0 proves it",
        "control-plane-0 boots after",
        "control-plane-0 proves it",
    ]
    assert mini.state("constellation_local_machines", "mini")["uid"] == uid
    assert not mini.differs()


def test_who_is_stopped_half_way_has_a_difference_and_goes_on(mini: Workplace, nodes: Nodes) -> None:
    use(mini, write(mini, "after"))
    nodes.broken = "after"
    failed = mini.run("apply", "-auto-approve")
    assert failed.status == 1
    assert "worker-0 does not prove it" in failed.text
    problems = mini.change(MACHINES)["before"]["problems"]
    assert any(one.startswith("control-plane-0 still boots ") for one in problems)
    nodes.broken = ""
    mini.applied()
    assert nodes.events[-1] == "control-plane-0 proves it"
    assert not mini.differs()


def test_an_image_of_another_kind_is_refused_and_nothing_is_destroyed(mini: Workplace, nodes: Nodes) -> None:
    debug = FakeImage(build=replace(BUILD, profile="debug"), packages=IMAGE.packages)
    use(mini, write(mini, "debug", debug))
    refused = mini.run("apply", "-auto-approve")
    assert refused.status == 1
    assert "The machines cannot go over to the image" in refused.text
    assert "profile: expected release, got debug" in " ".join(refused.text.split())
    assert nodes.events == []
    workspace = Workspace.open(mini.folder / "cluster")
    assert Machine(workspace.machines / "worker-0").spec.image.parent.name == "before"


def test_machines_without_a_cluster_are_made_anew(terraform: Workplace, image: Path) -> None:
    other = replace(IMAGE, root=b"other" * 4096).write(terraform.folder / "other").path
    text = """resource "constellation_local_machines" "mini" {
  workspace = "${path.cwd}/cluster"
  memory = 2048
  state_disk = 2048
  workers = 0
  image = "%s"
}
"""
    terraform.write(text.replace("%s", str(image)))
    terraform.applied()
    terraform.write(text.replace("%s", str(other)))
    assert terraform.change(MACHINES)["actions"] == ["delete", "create"]
