# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini` and `constellation doctor`: what is missing is said before anything is made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from constellation_engine.local_cluster import requirements
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace
from constellation_engine.machines import Forward, MachineSpec, Probe
from constellation_engine.machines.spec_file import to_json
from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture(autouse=True)
def _no_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "probe_kvm", lambda _: Probe(usable=False, reason="there is no /dev/kvm"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return FakeImage().write(tmp_path / "image").path


def stopped_machine(workspace: Workspace, image: Path) -> None:
    place = workspace.machines / "worker-0"
    place.mkdir(parents=True)
    spec = MachineSpec(image=image / "node.raw", forwards=(Forward("verification", 30081, 1),))
    (place / "spec.json").write_text(to_json(spec.settled({})))


@pytest.mark.parametrize(
    "words, reason",
    [
        ("--memory 1024", "memory of a machine: 1024 MiB"),
        ("--cpus 1", "processors of a machine: 1"),
        ("--memory 500000", "2 machines take 1004352"),
        ("--state-disk 256", "256 MiB"),
        ("--kubernetes 1.20", "expected Kubernetes 1.20, the image brings"),
        ("--control-planes 2", "control planes: expected one of 1, 3, 5, got 2"),
    ],
)
def test_up_makes_nothing_where_something_is_missing(
    constellation: Callable[..., Result], image: Path, tmp_path: Path, words: str, reason: str
) -> None:
    result = constellation("mini", "up", "--image", image, "--workspace", tmp_path / "mini", *words.split())
    assert (result.exit_code, result.stdout) == (1, "")
    assert reason in result.stderr
    assert "hint: " in result.stderr
    assert not (tmp_path / "mini").exists()


def test_up_leaves_another_cluster_alone(constellation: Callable[..., Result], image: Path, tmp_path: Path) -> None:
    Workspace.create(tmp_path / "mini", ClusterSpec(image=image, workers=3))
    result = constellation("mini", "up", "--image", image, "--workspace", tmp_path / "mini")
    assert result.exit_code == 1
    assert "is of another cluster: workers is 3, not 1" in result.stderr


def test_up_with_another_image_says_how_to_get_there(
    constellation: Callable[..., Result], image: Path, tmp_path: Path
) -> None:
    Workspace.create(tmp_path / "mini", ClusterSpec(image=image))
    other = FakeImage(root=b"other" * 4096).write(tmp_path / "other").path
    result = constellation("mini", "up", "--image", other, "--workspace", tmp_path / "mini")
    assert result.exit_code == 1
    assert "hint: constellation mini upgrade" in result.stderr


def test_an_upgrade_that_cannot_be_changes_nothing(
    constellation: Callable[..., Result], image: Path, tmp_path: Path
) -> None:
    workspace = Workspace.create(tmp_path / "mini", ClusterSpec(image=image))
    before = workspace.state
    other = FakeImage(root=b"other" * 4096).write(tmp_path / "other").path
    for folder, named, said in (
        ("mini", other, "the cluster is not up yet, and begins with the image"),
        ("none", other, "expected the workspace of a cluster, there is none"),
        ("mini", tmp_path / "nothing", "expected the folder of an image"),
    ):
        result = constellation("mini", "upgrade", named, "--workspace", tmp_path / folder)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
        assert "hint: " in result.stderr
    assert Workspace.open(workspace.folder).state == before


def test_up_without_an_image_says_what_makes_one(constellation: Callable[..., Result], tmp_path: Path) -> None:
    result = constellation("mini", "up", "--image", tmp_path, "--workspace", tmp_path / "mini")
    assert result.exit_code == 1
    assert "constellation image build" in result.stderr


def test_status_says_what_answers(constellation: Callable[..., Result], image: Path, tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "mini", ClusterSpec(image=image))
    stopped_machine(workspace, image)
    result = constellation("mini", "status", "--workspace", workspace.folder, "-o", "json")
    (machine,) = json.loads(result.stdout)["machines"]
    assert (machine["state"], machine["ports"], machine["listening"]) == ("stopped", {"verification": 1}, [])
    assert "worker-0  stopped" in constellation("mini", "status", "--workspace", workspace.folder).stdout


def test_doctor_names_what_is_missing_with_its_fix(constellation: Callable[..., Result], tmp_path: Path) -> None:
    result = constellation("doctor", "--image", tmp_path / "nowhere", "--workspace", tmp_path / "mini", "-o", "json")
    record = json.loads(result.stdout)
    assert (result.exit_code, record["version"], record["ready"]) == (1, 1, False)
    (image,) = [finding for finding in record["findings"] if finding["name"] == "node image"]
    assert not image["good"]
    assert "constellation image build" in image["fix"]
    assert not (tmp_path / "mini").exists()


def test_doctor_marks_each_line(constellation: Callable[..., Result], image: Path, tmp_path: Path) -> None:
    result = constellation("doctor", "--image", image, "--workspace", tmp_path / "mini", "--memory", "1024")
    lines = {line[3:].split("  ")[0]: line[0] for line in result.stdout.splitlines()[1:]}
    assert result.exit_code == 1
    assert (lines["KVM"], lines["memory of a machine"], lines["its signature"]) == ("!", "✗", "✓")
