# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a cluster would become is said before anything is made, and what cannot be is refused.

Machines that run are in `tests/collection/cluster`, those that boot in `tests/collection/molecule`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.testing.known_nodes import workspace_of_nodes
from constellation_engine.testing.node_images import FakeImage
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("_programs")


@pytest.fixture
def image(tmp_path: Path) -> str:
    """Folder of an image with nothing in it that boots."""
    return str(FakeImage().write(tmp_path / "image").path)


def small(folder: Path, there: str, /, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - options
    return {"workspace": str(folder / "mini"), "image": there, "memory": 2048, "state_disk": 2048, **changed}


def test_a_new_cluster_is_predicted_and_nothing_is_made(tmp_path: Path, image: str) -> None:
    answer = run_module("cluster", check=True, **small(tmp_path, image, workers=2))
    assert answer["changed"]
    assert answer["changing"] == ["workspace", "control-plane-0", "worker-0", "worker-1", "cluster"]
    assert "worker-1: missing\n" in answer["diff"]["before"]
    assert "worker-1: running\n" in answer["diff"]["after"]
    assert not (tmp_path / "mini").exists()


def test_an_image_is_named_as_the_host_knows_it(tmp_path: Path, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSTELLATION_IMAGES", str(tmp_path))
    for name in ("image", "constellation-node", image):
        assert run_module("cluster", check=True, **small(tmp_path, name))["changed"]


def test_what_an_earlier_run_left_is_a_difference(tmp_path: Path, image: str) -> None:
    arguments = small(tmp_path, image)
    spec = ClusterSpec(image=tmp_path / "image", memory=2048, state_disk=2048)
    Workspace.create(tmp_path / "mini", spec)
    answer = run_module("cluster", check=True, **arguments)
    assert answer["changing"] == ["control-plane-0", "worker-0", "phases", "cluster"]
    assert "control-plane-0: missing: it was not made, or somebody removed it\n" in answer["diff"]["before"]
    assert "cluster: not initialised\n" in answer["diff"]["before"]


def test_what_is_left_out_stays(tmp_path: Path) -> None:
    """A machine that is off is a difference with its reason, and a worker that nobody wants any more leaves."""
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 1, "worker-0": 1}, bytes(32))
    answer = run_module("cluster", check=True, workspace=str(workspace.folder))
    assert "worker-0: stopped: somebody switched it off\n" in answer["diff"]["before"]
    assert "worker-0: running\n" in answer["diff"]["after"]
    fewer = run_module("cluster", check=True, workspace=str(workspace.folder), workers=0)
    assert "worker-0: absent\n" in fewer["diff"]["after"]
    assert Workspace.open(workspace.folder).state.spec.workers == 1


def test_machines_that_are_off_are_stopped(tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 1}, bytes(32))
    answer = run_module("cluster", workspace=str(workspace.folder), state="stopped")
    assert (answer["changed"], answer["cluster_id"]) == (False, "00" * 32)


def test_it_is_removed_once(tmp_path: Path, image: str) -> None:
    Workspace.create(tmp_path / "mini", ClusterSpec(image=tmp_path / "image"))
    gone: dict[str, Any] = {"workspace": str(tmp_path / "mini"), "state": "absent"}
    predicted = run_module("cluster", check=True, **gone)
    assert (tmp_path / "mini").exists()
    done = run_module("cluster", **gone)
    assert not (tmp_path / "mini").exists()
    assert (predicted["changed"], predicted["diff"]) == (True, done["diff"])
    assert not run_module("cluster", **gone)["changed"]
    assert image


def test_no_secret_is_said(tmp_path: Path, image: str) -> None:
    MasterSecret.random().create(tmp_path / "secret.json")
    secret = MasterSecret.load(tmp_path / "secret.json").secret.reveal().hex()
    said = run_module("cluster", check=True, **small(tmp_path, image, master_secret=str(tmp_path / "secret.json")))
    assert said["changed"]
    assert secret not in str(said)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"workspace": None}, "workspace"),
        ({"state": "up"}, "state"),
        ({"image": "./nowhere"}, "nowhere"),
        ({"image": "no-such-name"}, "expected an image with name no-such-name"),
        ({"name": "Mini_"}, "Option name: expected 1 to 32 of a-z, 0-9 and - inside, got 'Mini_'"),
        ({"control_planes": 2}, "Option control_planes: expected one of 1, 3, 5, got 2"),
        ({"workers": 99}, "Option workers: expected 0 to 32, got 99"),
        ({"workers": "many"}, "workers"),
        ({"cpus": 1}, "Option cpus: expected 2 to 255, got 1"),
        ({"memory": 1}, "Option memory: expected 2048 to"),
        ({"state_disk": 1}, "Option state_disk: expected 2048 to"),
        ({"kubernetes_version": "new"}, "Option kubernetes_version: expected a version as v1.36.4"),
        ({"kubernetes_version": "v1.35.0"}, "kubernetes_version: expected v1.35.0, the image"),
        ({"certificate_sans": ["a b"]}, "Option certificate_sans: expected names or IP addresses, and not 'a b'"),
        ({"service_network": "1.2.3.0/24"}, "Option service_network: expected a private IPv4 network"),
        ({"pod_network": "10.0.0.1"}, "Option pod_network: expected a private IPv4 network"),
        (
            {"pod_network": "10.99.0.0/16", "service_network": "10.99.0.0/16"},
            "Option pod_network: expected service_network and pod_network apart",
        ),
        ({"join_config": "version: 2"}, "join-config"),
        ({"join_config": "x", "approval": True}, "mutually exclusive"),
        ({"max_control_planes": 9}, "Option max_control_planes: expected 1 to 7, got 9"),
        ({"master_secret": "/nowhere"}, "/nowhere"),
        ({"timeout": 0}, "Option timeout: expected at least one second, got 0"),
        ({"memory": 1 << 20}, "memory"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, image: str, arguments: dict[str, Any], said: str) -> None:
    given = small(tmp_path, image, **arguments)
    answer = run_module("cluster", **{name: value for name, value in given.items() if value is not None})
    assert answer["failed"]
    assert said.lower() in answer["msg"].lower()
    assert not (tmp_path / "mini").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"control_planes": 3}, "control_planes is 1, not 3"),
        ({"cpus": 4}, "cpus is 2, not 4"),
        ({"name": "other"}, "name is mini, not other"),
        ({"certificate_sans": ["a.example"]}, "certificate_sans is none, not a.example"),
        ({"pod_network": "10.245.0.0/16"}, "pod_network is 10.244.0.0/16, not 10.245.0.0/16"),
        ({"master_secret": "{secret}"}, "master_secret is the one of this workspace, not another"),
    ],
)
def test_what_a_cluster_keeps_cannot_change(tmp_path: Path, arguments: dict[str, Any], said: str) -> None:
    MasterSecret.random().create(tmp_path / "secret.json")
    workspace = workspace_of_nodes(tmp_path, {}, bytes(32))
    secret = {"master_secret": str(tmp_path / "secret.json")}
    given: dict[str, Any] = {name: secret.get(name, value) for name, value in arguments.items()}
    answer = run_module("cluster", workspace=str(workspace.folder), **given)
    assert answer["failed"]
    assert said in answer["msg"]
    assert "name another workspace" in answer["hint"]
