# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini stop` and `start`: all machines of the cluster, or those that are named, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_cli.errors import ExitStatus
from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.machines import Machine, MachineSpec
from constellation_engine.machines.spec_file import to_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

NAMES = ["control-plane-0", "worker-0", "worker-1"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A cluster whose machines are off, and whose image is gone."""
    monkeypatch.setenv("CONSTELLATION_WORKSPACE", str(tmp_path / "mini"))
    workspace = Workspace.create(tmp_path / "mini", ClusterSpec(image=tmp_path / "image", workers=2))
    for name in NAMES:
        (workspace.machines / name).mkdir(parents=True)
        spec = MachineSpec(image=tmp_path / "image" / "node.raw")
        (workspace.machines / name / "spec.json").write_text(to_json(spec))
    return workspace


@pytest.fixture
def switched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to machines; that they can do it, `tests/constellation_engine/machines` tests."""
    done: list[str] = []
    monkeypatch.setattr(Machine, "start", lambda machine, _report: done.append(f"{machine.name} on"))
    monkeypatch.setattr(Machine, "stop", lambda machine: done.append(f"{machine.name} off"))
    return done


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("command, state", [("stop", "off"), ("start", "on")])
class TestWhichMachines:
    def test_all_of_them_if_none_is_named(
        self, constellation: Callable[..., Result], switched: list[str], command: str, state: str
    ) -> None:
        assert constellation("mini", command).exit_code == 0
        assert switched == [f"{name} {state}" for name in NAMES]

    def test_those_that_are_named(
        self, constellation: Callable[..., Result], switched: list[str], command: str, state: str
    ) -> None:
        result = constellation("mini", command, "worker-1", "control-plane-0")
        assert (result.exit_code, result.stdout) == (0, "")
        assert switched == [f"control-plane-0 {state}", f"worker-1 {state}"]
        assert f"switching worker-1 {state}" in result.stderr


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("command", ["stop", "start"])
def test_none_is_switched_if_a_name_is_wrong(
    constellation: Callable[..., Result], switched: list[str], command: str
) -> None:
    result = constellation("mini", command, "worker-0", "worker-7")
    assert (result.exit_code, switched) == (ExitStatus.FAILED, [])
    assert "has no machine worker-7" in result.stderr
    assert f"there are: {', '.join(NAMES)}" in result.stderr


@pytest.mark.usefixtures("workspace")
def test_what_is_off_stays_off(constellation: Callable[..., Result]) -> None:
    result = constellation("mini", "stop")
    assert result.exit_code == 0
    assert result.stderr.endswith("next: constellation mini start\n")


@pytest.mark.usefixtures("workspace")
def test_a_machine_that_does_not_start_is_told(constellation: Callable[..., Result]) -> None:
    result = constellation("mini", "start", "worker-0")
    assert result.exit_code == ExitStatus.FAILED
    assert "node.raw" in result.stderr


@pytest.mark.parametrize("command", ["stop", "start"])
def test_a_cluster_without_machines_is_told(constellation: Callable[..., Result], tmp_path: Path, command: str) -> None:
    Workspace.create(tmp_path / "mini", ClusterSpec(image=tmp_path / "image"))
    result = constellation("mini", command, "--workspace", tmp_path / "mini")
    assert result.exit_code == ExitStatus.FAILED
    assert "has no machines" in result.stderr
    assert "constellation mini up" in result.stderr


@pytest.mark.parametrize("command", ["stop", "start"])
def test_no_cluster_is_told(constellation: Callable[..., Result], tmp_path: Path, command: str) -> None:
    result = constellation("mini", command, "--workspace", tmp_path)
    assert result.exit_code == ExitStatus.FAILED
    assert "constellation mini up" in result.stderr
