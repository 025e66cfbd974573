# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which cluster is meant: what is named comes first, then the environment, then what is usual."""

from __future__ import annotations

from pathlib import Path

import pytest

from constellation_cli.chosen_cluster import choose_cluster
from constellation_engine.errors import WorkspaceError
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace

FILE = Path("admin.conf")


@pytest.fixture(autouse=True)
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual place of a workspace; nothing is there."""
    for name in ("CONSTELLATION_WORKSPACE", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "constellation" / "mini"


def cluster_in(folder: Path) -> Path:
    return Workspace.create(folder, ClusterSpec(image=Path("image"))).folder


def chosen(workspace: Path | None = None, kubeconfig: Path | None = None) -> tuple[Path | None, Path | None]:
    found = choose_cluster(workspace, kubeconfig)
    return found.workspace.folder if found.workspace is not None else None, found.kubeconfig


def test_a_workspace_brings_its_kubeconfig(tmp_path: Path) -> None:
    folder = cluster_in(tmp_path / "one")
    assert chosen(folder) == (folder, folder / "kubeconfig")
    assert chosen(folder, FILE) == (folder, FILE)


def test_a_kubeconfig_that_is_named_is_no_workspace(usual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSTELLATION_WORKSPACE", str(cluster_in(usual)))
    assert chosen(None, FILE) == (None, FILE)


def test_the_environment_names_a_workspace_before_a_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cluster_in(tmp_path / "one")
    monkeypatch.setenv("KUBECONFIG", "other.conf")
    assert chosen() == (None, None)
    monkeypatch.setenv("CONSTELLATION_WORKSPACE", str(folder))
    assert chosen() == (folder, folder / "kubeconfig")


def test_the_usual_workspace_is_taken_where_there_is_one(usual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen() == (None, None)
    cluster_in(usual)
    assert chosen() == (usual, usual / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", "other.conf")
    assert chosen() == (None, None)


def test_a_folder_that_is_named_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="expected the workspace of a cluster"):
        chosen(tmp_path)
