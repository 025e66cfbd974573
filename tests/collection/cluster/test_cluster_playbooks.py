# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What playbooks about clusters say and refuse, by the real ansible-playbook. Nothing boots here."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.testing.known_nodes import workspace_of_nodes
from constellation_engine.testing.node_images import BUILD, FakeImage
from tests.collection.playing import COLLECTION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.playing import Player

ROLE: Final = COLLECTION / "roles" / "cluster"
KUBECONFIG: Final = """
clusters: [{name: k, cluster: {server: "https://127.0.0.1:9", certificate-authority-data: Q0E=}}]
users: [{name: u, user: {client-certificate-data: Q0VSVA==, client-key-data: KEY}}]
contexts: [{name: c, context: {cluster: k, user: u}}]
current-context: c
"""

pytestmark = pytest.mark.usefixtures("_programs")


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """An image that does not boot, and where the cluster would be."""
    FakeImage().write(tmp_path / "image")
    return {
        "constellation_workspace": str(tmp_path / "mini"),
        "cluster_image": str(tmp_path / "image"),
        "cluster_memory": 2048,
        "cluster_state_disk": 2048,
    }


def test_site_predicts_a_new_cluster(play: Player, given: dict[str, Any], tmp_path: Path) -> None:
    played = play("constellation.core.site", check=True, diff=True, variables=given)
    assert (played.status, played.changed) == (0, {"localhost": 1})
    assert "-worker-0: missing" in played.text
    assert "+worker-0: running" in played.text
    assert not (tmp_path / "mini").exists()


def test_site_predicts_that_an_image_would_be_built(play: Player, given: dict[str, Any], tmp_path: Path) -> None:
    del given["cluster_image"]
    played = play("constellation.core.site", check=True, variables=given)
    assert played.status == 0, played.text
    assert not (tmp_path / "mini").exists()


def test_a_new_cluster_that_fails_leaves_nothing(play: Player, given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "image" / "disk.raw").unlink(missing_ok=True)
    played = play("constellation.core.site", variables={**given, "cluster_memory": 1 << 20})
    assert played.failed == {"localhost": 1}
    assert "memory" in played.text
    assert not (tmp_path / "mini").exists()


def test_a_cluster_that_was_there_stays_when_a_run_fails(play: Player, given: dict[str, Any], tmp_path: Path) -> None:
    spec = ClusterSpec(image=tmp_path / "image", memory=2048, state_disk=2048)
    Workspace.create(tmp_path / "mini", spec)
    played = play("constellation.core.site", variables={**given, "cluster_name": "other"})
    assert played.failed == {"localhost": 1}
    assert "name is mini, not other" in played.text
    assert Workspace.open(tmp_path / "mini").state.spec == spec


@pytest.mark.parametrize(
    "variables, said",
    [
        ({"cluster_workers": "many"}, "cluster_workers"),
        ({"cluster_control_planes": 2}, "cluster_control_planes"),
        ({"cluster_workers": 99}, "Option workers: expected 0 to 32, got 99"),
        ({"cluster_image": "no-such-image"}, "no-such-image"),
    ],
)
def test_what_is_wrong_is_named(play: Player, given: dict[str, Any], variables: dict[str, Any], said: str) -> None:
    played = play("constellation.core.site", check=True, variables=given | variables)
    assert played.status != 0
    assert said in played.text


def test_verify_fails_and_says_why(play: Player, tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 1, "worker-0": 2}, bytes(32))
    played = play("constellation.core.verify", variables={"constellation_workspace": str(workspace.folder)})
    assert (played.status, played.changed) == (2, {"localhost": 0})
    assert "The cluster is not accepted. control-plane-0: " in " ".join(played.text.split())


def test_reset_asks_which_one(play: Player, tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {}, bytes(32))
    place = {"constellation_workspace": str(workspace.folder)}
    for answer in ({}, {"reset_cluster": "other"}):
        played = play("constellation.core.reset", variables=place | answer)
        assert played.status != 0
        assert "Add -e reset_cluster=mini" in " ".join(played.text.split())
        assert workspace.folder.exists()
    assert play("constellation.core.reset", variables=place | {"reset_cluster": "mini"}).changed == {"localhost": 1}
    assert not workspace.folder.exists()
    assert play("constellation.core.reset", variables=place).changed == {"localhost": 0}


def test_recover_predicts(play: Player, tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 1}, bytes(32))
    place = {"constellation_workspace": str(workspace.folder)}
    played = play("constellation.core.recover", check=True, diff=True, variables=place)
    assert (played.status, played.changed) == (0, {"localhost": 1})
    assert "+control-plane-0: on" in played.text


def test_upgrade_predicts(play: Player, tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 1, "worker-0": 2}, bytes(32))
    FakeImage(root=b"another" * 4096).write(tmp_path / "next")
    place = {"constellation_workspace": str(workspace.folder), "upgrade_image": str(tmp_path / "next")}
    before = Workspace.open(workspace.folder).state
    quiet = {"upgrade_verified": False}
    played = play("constellation.core.upgrade", check=True, diff=True, variables=place | quiet)
    assert (played.status, played.changed) == (0, {"localhost": 1}), played.text
    assert f"-image of worker-0: {tmp_path / 'image'}" in played.text
    assert f"+image of worker-0: {tmp_path / 'next'}" in played.text
    assert Workspace.open(workspace.folder).state == before
    unproved = play("constellation.core.upgrade", variables=place)  # nobody answers there
    assert unproved.status != 0
    assert "The cluster is not accepted" in " ".join(unproved.text.split())
    assert Workspace.open(workspace.folder).state == before


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"upgrade_image": ""}, "Variable upgrade_image: expected the folder of a node image"),
        (
            {"constellation_workspace": "/nowhere"},
            "expected the folder of a cluster, there is none. Playbook site makes",
        ),
        ({"upgrade_image": "no-such-image"}, "no-such-image"),
        ({"upgrade_image": "debug"}, "profile: expected release, got debug"),
        ({"cluster_drain_timeout": -1}, "Option drain_timeout: expected no fewer than 0 seconds, got -1"),
    ],
)
def test_an_upgrade_that_cannot_be_is_refused(
    play: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("CONSTELLATION_IMAGES", str(tmp_path / "images"))
    (tmp_path / "images").mkdir()
    FakeImage(build=replace(BUILD, profile="debug")).write(tmp_path / "images" / "debug")
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 1}, bytes(32))
    right = {
        "constellation_workspace": str(workspace.folder),
        "upgrade_image": str(tmp_path / "image"),
        "upgrade_verified": False,
    }
    played = play("constellation.core.upgrade", variables=right | wrong)
    assert played.status != 0
    assert said in " ".join(played.text.split())
    assert Workspace.open(workspace.folder).state == workspace.state


def test_defaults_are_those_that_are_documented() -> None:
    options = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    documented = {name: one["default"] for name, one in options.items() if "default" in one}
    assert yaml.safe_load((ROLE / "defaults" / "main.yml").read_text()) == documented


def test_every_option_reaches_the_module() -> None:
    options = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    tasks = (ROLE / "tasks" / "main.yml").read_text()
    assert not [name for name in options if name not in tasks]


def test_no_secret_is_shown_however_much_is_asked(play: Player, tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 1}, bytes(32))
    key = base64.b64encode(b"-----BEGIN EC PRIVATE KEY----- hush").decode()
    workspace.initialised(bytes(32), KUBECONFIG.replace("KEY", key).encode())
    place = str(workspace.folder)
    tasks: list[dict[str, Any]] = [
        {"constellation.core.cluster": {"workspace": place}, "check_mode": True, "register": "one"},
        {"constellation.core.cluster_info": {"workspace": place, "timeout": 1}, "register": "two"},
        {"constellation.core.kubeconfig": {"workspace": place, "path": str(tmp_path / "config")}, "register": "three"},
        {"ansible.builtin.debug": {"var": "vars"}},
    ]
    played = play(tasks, diff=True, verbosity=4)
    assert played.changed == {"localhost": 2}, played.text
    assert key in (tmp_path / "config").read_text()
    hidden = (key, workspace.master_secret().secret.reveal().hex(), workspace.init_secret().reveal().decode())
    assert not [secret for secret in hidden if secret in played.text]
