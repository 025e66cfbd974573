# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_local_machines`: real machines, by the real Terraform. Nothing in them boots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.machines import Machine, MachineState

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terraform_provider_constellation.resources.workplace import Workplace

ADDRESS = "constellation_local_machines.mini"
KIND = "constellation_local_machines"


def configuration(image: Path, *lines: str, workers: int = 0) -> str:
    more = "\n  ".join(("memory = 2048", "state_disk = 2048", f"workers = {workers}", *lines))
    return f'resource "{KIND}" "mini" {{\n  workspace = "${{path.cwd}}/cluster"\n  image = "{image}"\n  {more}\n}}\n'


def machine(terraform: Workplace, name: str) -> Machine:
    return Machine(terraform.folder / "cluster" / "machines" / name)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_machines")
class TestLife:
    def test_from_nothing_to_nothing(self, terraform: Workplace, image: Path) -> None:
        terraform.write(configuration(image))
        change = terraform.change(ADDRESS)
        assert (change["actions"], change["after"]["names"]) == (["create"], ["control-plane-0"])
        terraform.applied()
        state = terraform.state(KIND, "mini")
        (node,) = state["nodes"]
        assert (node["state"], node["reason"], state["problems"]) == ("running", None, [])
        assert state["out_of_cluster_endpoint"] == node["endpoints"]["api-server"]
        assert state["uid"] == Workspace.open(terraform.folder / "cluster").state.uid
        assert machine(terraform, "control-plane-0").status().state is MachineState.RUNNING
        assert not terraform.differs()
        running = machine(terraform, "control-plane-0").status().process
        assert terraform.run("destroy", "-auto-approve").status == 0
        assert not (terraform.folder / "cluster").exists()
        assert running
        assert not (terraform.folder.parent / str(running)).exists()

    def test_a_stopped_machine_is_a_difference_with_its_reason(self, terraform: Workplace, image: Path) -> None:
        terraform.write(configuration(image))
        terraform.applied()
        machine(terraform, "control-plane-0").stop()
        change = terraform.change(ADDRESS)
        assert change["actions"] == ["update"]
        before, after = change["before"]["nodes"][0], change["after"]["nodes"][0]
        assert (before["state"], before["reason"]) == ("stopped", "somebody switched it off")
        assert after == before | {"state": "running", "reason": None}
        assert change["before"]["problems"] == ["control-plane-0 is stopped: somebody switched it off"]
        assert "1 changed" in terraform.applied().text
        assert machine(terraform, "control-plane-0").status().state is MachineState.RUNNING
        assert not terraform.differs()

    def test_workers_come_and_go_in_place(self, terraform: Workplace, image: Path) -> None:
        terraform.write(configuration(image))
        terraform.applied()
        terraform.write(configuration(image, workers=1))
        change = terraform.change(ADDRESS)
        assert (change["actions"], change["after"]["names"]) == (["update"], ["control-plane-0", "worker-0"])
        terraform.applied()
        assert machine(terraform, "worker-0").status().state is MachineState.RUNNING
        assert not terraform.differs()
        terraform.write(configuration(image))
        terraform.applied()
        assert not machine(terraform, "worker-0").layout.folder.exists()
        assert not terraform.differs()

    def test_a_machine_that_is_gone_is_made_again(self, terraform: Workplace, image: Path) -> None:
        terraform.write(configuration(image))
        terraform.applied()
        machine(terraform, "control-plane-0").destroy()
        change = terraform.change(ADDRESS)
        assert change["before"]["nodes"][0]["state"] == "missing"
        terraform.applied()
        assert not terraform.differs()

    def test_whoever_was_killed_goes_on(self, terraform: Workplace, image: Path) -> None:
        spec = ClusterSpec(image=image.resolve(), workers=0, memory=2048, state_disk=2048)
        left = Workspace.create(terraform.folder / "cluster", spec)
        terraform.write(configuration(image))
        assert "The workspace was there" in terraform.applied().text
        assert terraform.state(KIND, "mini")["uid"] == left.state.uid

    def test_what_does_not_start_is_a_warning_and_apply_goes_on(
        self, terraform: Workplace, image: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as broken:
            broken.setattr("constellation_engine.machines.power.find_program", _no_program)
            terraform.write(configuration(image))
            assert "Warning: Not all machines run" in terraform.applied().text
            assert terraform.instance(KIND, "mini").get("status") is None
            assert "Error: The machines cannot be changed" in terraform.apply().text
            assert terraform.instance(KIND, "mini").get("status") is None
        terraform.applied()
        assert not terraform.differs()


def _no_program(name: str) -> Path:
    from constellation_engine.errors import MissingProgramError  # noqa: PLC0415 - most tests do not need it

    raise MissingProgramError(f"{name} is not installed", hint="install it")
