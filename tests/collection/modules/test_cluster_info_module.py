# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster is looked at: by its workspace, by its API server; what does not answer is a problem, and no failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.known_nodes import let_in, workspace_of_nodes
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.testing.control_plane import ControlPlane


def test_there_is_none(tmp_path: Path) -> None:
    answer = run_module("cluster_info", workspace=str(tmp_path / "none"))
    assert (answer["exists"], answer["ready"], answer["changed"]) == (False, False, False)
    assert "there is no cluster" in answer["problems"][0]


def test_a_workspace_is_looked_at(tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 30081}, bytes(32))
    answer = run_module("cluster_info", workspace=str(workspace.folder), timeout=1, check=True)
    assert (answer["exists"], answer["ready"], answer["reachable"]) == (True, False, False)
    states = {one["name"]: (one["state"], one["endpoints"]) for one in answer["machines"]}
    assert states == {"control-plane-0": ("stopped", {"verification": "127.0.0.1:30081"}), "worker-0": ("missing", {})}
    assert "control-plane-0 is stopped: somebody switched it off" in answer["problems"]
    assert answer["cluster_id"] == "00" * 32


def test_no_secret_is_said(tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {}, bytes(32))
    said = str(run_module("cluster_info", workspace=str(workspace.folder)))
    secrets = (workspace.master_secret().secret.reveal().hex(), workspace.init_secret().reveal().decode())
    assert not [secret for secret in secrets if secret in said]


def test_an_api_server_of_another_cluster_is_a_problem(tmp_path: Path, clean_cluster: ControlPlane) -> None:
    workspace = workspace_of_nodes(tmp_path, {}, bytes(32))
    workspace.initialised(bytes(32), clean_cluster.kubeconfig().read_bytes())
    answer = run_module("cluster_info", workspace=str(workspace.folder))
    assert not answer["reachable"]
    assert any("it is of another cluster, or somebody deleted it" in problem for problem in answer["problems"])


def test_a_cluster_elsewhere_is_looked_at(clean_cluster: ControlPlane) -> None:
    serve_our_kinds(clean_cluster.client())
    let_in(clean_cluster.client(), "worker-1", "ab" * 32)
    answer = run_module("cluster_info", kubeconfig=str(clean_cluster.kubeconfig()))
    assert (answer["exists"], answer["reachable"], answer["ready"]) == (True, True, False)
    assert [(node["name"], node["identity"]) for node in answer["nodes"]] == [("worker-1", "ab" * 32)]
    assert "all nodes are Ready: worker-1 (it never reported)" in answer["problems"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "one of the following is required: workspace, kubeconfig"),
        ({"workspace": "x", "kubeconfig": "y"}, "mutually exclusive"),
        ({"kubeconfig": "/nowhere"}, "no kubeconfig that can be used"),
        ({"workspace": "x", "timeout": 0}, "Option timeout: expected at least one second, got 0"),
        ({"workspace": "x", "timeout": "soon"}, "timeout"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], said: str) -> None:
    answer = run_module("cluster_info", **arguments)
    assert answer["failed"]
    assert said in answer["msg"]
