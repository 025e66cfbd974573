# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_local_machines`: real machines, by the real Terraform. Nothing in them boots."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from constellation_core.conditions import Condition, wait_for
from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.machines import Machine, MachineState, processes

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
@pytest.mark.usefixtures("_programs", "quick_tpm")
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
        layout = machine(terraform, "control-plane-0").layout
        assert processes.running(layout.qemu)
        assert terraform.run("destroy", "-auto-approve").status == 0
        assert not (terraform.folder / "cluster").exists()
        assert not [*processes.running(layout.qemu), *processes.running(layout.tpm)]

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

    def test_a_machine_that_cannot_go_on_is_started_again(self, terraform: Workplace, image: Path) -> None:
        terraform.write(configuration(image))
        terraform.applied()
        for process in processes.running(machine(terraform, "control-plane-0").layout.tpm):
            os.kill(process, signal.SIGKILL)
        ended = Condition("the TPM ended", lambda: None if self._is_stuck(terraform) else "it runs")
        wait_for([ended], timeout=30)
        before = terraform.change(ADDRESS)["before"]["nodes"][0]
        assert (before["state"], "its TPM ended" in before["reason"]) == ("stuck", True)
        terraform.applied()
        assert machine(terraform, "control-plane-0").status().state is MachineState.RUNNING
        assert not terraform.differs()

    @staticmethod
    def _is_stuck(terraform: Workplace) -> bool:
        return machine(terraform, "control-plane-0").status().state is MachineState.STUCK

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


def test_import_by_the_path_of_a_workspace(terraform: Workplace, image: Path) -> None:
    spec = ClusterSpec(image=image.resolve(), workers=0, memory=2048, state_disk=2048)
    made = Workspace.create(terraform.folder / "cluster", spec)
    terraform.write(configuration(image))
    assert terraform.run("import", ADDRESS, str(made.folder)).status == 0
    state = terraform.state(KIND, "mini")
    assert (state["uid"], state["workers"], state["image"]["value"]) == (made.state.uid, 0, str(image))
    assert state["problems"] == ["control-plane-0 is missing: it was not made, or somebody removed it"]
    assert terraform.change(ADDRESS)["actions"] == ["update"]
    result = terraform.run("import", "-state=other", ADDRESS, str(terraform.folder / "none"))
    assert "Error: There are no machines to import" in result.text


def test_machines_of_another_workspace_are_left_alone(terraform: Workplace, image: Path) -> None:
    spec = ClusterSpec(image=image.resolve(), workers=0, memory=2048, state_disk=2048)
    Workspace.create(terraform.folder / "cluster", spec)
    terraform.write(configuration(image))
    assert terraform.run("import", ADDRESS, str(terraform.folder / "cluster")).status == 0
    shutil.rmtree(terraform.folder / "cluster")
    other = Workspace.create(terraform.folder / "cluster", spec)
    result = terraform.run("destroy", "-auto-approve")
    assert "Error: The workspace is of other machines" in result.text
    assert Workspace.open(other.folder).state.uid == other.state.uid


def _no_program(name: str) -> Path:
    from constellation_engine.errors import MissingProgramError  # noqa: PLC0415 - most tests do not need it

    raise MissingProgramError(f"{name} is not installed", hint="install it")
