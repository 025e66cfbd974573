# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The inventory plugin lists nodes as hosts of this machine, in groups, and tells no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.testing.known_nodes import workspace_of_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.playing import Player

SECRET = "ab" * 32
MACHINE = {"name": "worker-0", "role": "worker", "address": "192.168.77.101", "state": "running", "endpoints": {}}


def machines(name: str) -> dict[str, Any]:
    attributes = {"workspace": f"/clusters/{name}", "image": "/images/one-1.0", "name": name, "nodes": [MACHINE]}
    return {"mode": "managed", "type": "constellation_local_machines", "instances": [{"attributes": attributes}]}


def cluster(name: str) -> dict[str, Any]:
    node = {"name": "worker-0", "role": "worker", "attested": True}
    attributes = {"workspace": f"/clusters/{name}", "name": name, "master_secret": SECRET, "nodes": [node]}
    return {"mode": "managed", "type": "constellation_cluster", "instances": [{"attributes": attributes}]}


def listed(play: Player, source: Path, **options: object) -> tuple[dict[str, Any], str]:
    """Give what ansible-inventory lists, and what it writes."""
    (source / "constellation.yml").write_text(json.dumps({"plugin": "constellation.core.state", **options}))
    done = play.run("ansible-inventory", "-i", str(source / "constellation.yml"), "--list")
    answer = done.stdout[done.stdout.find("\n{") + 1 :] if not done.stdout.startswith("{") else done.stdout
    return json.loads(answer, object_hook=plain), done.stdout


def plain(record: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever was wrapped
    """Unwrap what Ansible marks as not to be taken for a template."""
    return record.get("__ansible_unsafe", record)


def test_hosts_of_a_workspace(play: Player, tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 30081}, bytes(32))
    found, text = listed(play, tmp_path, workspace="mini", ask=False)
    assert found["control_planes"]["hosts"] == ["control-plane-0"]
    assert found["workers"]["hosts"] == ["worker-0"]
    assert found["unattested"]["hosts"] == found["image_image"]["hosts"] == ["control-plane-0", "worker-0"]
    variables = found["_meta"]["hostvars"]["control-plane-0"]
    assert variables["ansible_connection"] == "local"
    assert variables["constellation_endpoints"] == {"verification": "127.0.0.1:30081"}
    assert workspace.master_secret().secret.reveal().hex() not in text


def test_hosts_of_a_terraform_state(play: Player, tmp_path: Path) -> None:
    state = {"version": 4, "resources": [machines("mini"), cluster("mini")]}
    (tmp_path / "terraform.tfstate").write_text(json.dumps(state))
    found, text = listed(
        play,
        tmp_path,
        terraform_state="terraform.tfstate",
        compose={"where": "constellation_address ~ ':22'"},
        groups={"up": "constellation_state == 'running'"},
        keyed_groups=[{"key": "constellation_cluster", "prefix": "cluster"}],
    )
    for group in ("workers", "attested", "image_one_1_0", "cluster_mini", "up"):
        assert found[group]["hosts"] == ["worker-0"]
    assert found["_meta"]["hostvars"]["worker-0"]["where"] == "192.168.77.101:22"
    assert SECRET not in text


def test_tasks_for_a_node_run_here(play: Player, tmp_path: Path) -> None:
    workspace_of_nodes(tmp_path, {}, bytes(32))
    source = tmp_path / "constellation.yml"
    source.write_text("{plugin: constellation.core.state, workspace: mini, ask: false}")
    played = play([{"ansible.builtin.command": "true"}], inventory=source)
    assert played.changed == {"control-plane-0": 1, "worker-0": 1}


@pytest.mark.parametrize(
    "options, said",
    [
        ({}, "expected exactly one of them"),
        ({"workspace": "a", "terraform_state": "b"}, "expected exactly one of them"),
        ({"workspace": "nowhere"}, "expected the workspace of a cluster, there is none"),
        ({"terraform_state": "nowhere"}, "Option terraform_state"),
        ({"terraform_state": "two"}, "Choose a cluster with the option cluster"),
    ],
)
def test_what_is_wrong_is_said(play: Player, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    (tmp_path / "two").write_text(json.dumps({"version": 4, "resources": [machines("one"), machines("other")]}))
    found, text = listed(play, tmp_path, **options)
    assert said in " ".join(text.split())
    assert "workers" not in found


def test_one_of_several_clusters_is_chosen(play: Player, tmp_path: Path) -> None:
    (tmp_path / "two").write_text(json.dumps({"version": 4, "resources": [machines("one"), machines("other")]}))
    found, _ = listed(play, tmp_path, terraform_state="two", cluster="other")
    assert found["_meta"]["hostvars"]["worker-0"]["constellation_workspace"] == "/clusters/other"
