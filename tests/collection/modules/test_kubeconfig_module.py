# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster is kept in a kubeconfig of the user's, for its owner alone."""

from __future__ import annotations

import base64
import stat
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from constellation_engine.testing.known_nodes import workspace_of_nodes
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

KEY = "-----BEGIN EC PRIVATE KEY----- hush"


@pytest.fixture
def workspace(tmp_path: Path) -> str:
    """The workspace of a cluster that has a kubeconfig."""
    made = workspace_of_nodes(tmp_path, {}, bytes(32))
    encoded = base64.b64encode(KEY.encode()).decode()
    record = {
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:9", "certificate-authority-data": "Q0E="}}],
        "users": [{"name": "u", "user": {"client-certificate-data": "Q0VSVA==", "client-key-data": encoded}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "current-context": "c",
    }
    made.initialised(bytes(32), yaml.safe_dump(record).encode())
    return str(made.folder)


def kept(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = yaml.safe_load(path.read_text())
    return record


def test_it_is_put_in_once(tmp_path: Path, workspace: str) -> None:
    path = tmp_path / "config"
    first = run_module("kubeconfig", workspace=workspace, path=str(path))
    assert (first["changed"], first["context"], first["host"]) == (True, "mini", "https://127.0.0.1:9")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept(path)["current-context"] == "mini"
    assert not run_module("kubeconfig", workspace=workspace, path=str(path))["changed"]


def test_check_mode_says_what_would_come_and_writes_nothing(tmp_path: Path, workspace: str) -> None:
    path = tmp_path / "config"
    predicted = run_module("kubeconfig", workspace=workspace, path=str(path), check=True)
    assert not path.exists()
    done = run_module("kubeconfig", workspace=workspace, path=str(path))
    assert predicted["changed"]
    assert predicted["diff"] == done["diff"]
    assert "context mini: https://127.0.0.1:9" in done["diff"]["after"]


def test_no_key_is_in_the_answer(tmp_path: Path, workspace: str) -> None:
    said = str(run_module("kubeconfig", workspace=workspace, path=str(tmp_path / "config")))
    assert not [secret for secret in (KEY, base64.b64encode(KEY.encode()).decode()) if secret in said]


def test_it_is_taken_out_and_others_stay(tmp_path: Path, workspace: str) -> None:
    path = tmp_path / "config"
    for name in ("one", "other"):
        run_module("kubeconfig", workspace=workspace, path=str(path), context=name)
    gone: dict[str, Any] = {"path": str(path), "context": "one", "state": "absent"}
    assert run_module("kubeconfig", **gone)["changed"]
    assert [one["name"] for one in kept(path)["contexts"]] == ["other"]
    assert not run_module("kubeconfig", **gone)["changed"]


def test_nothing_is_taken_out_of_nothing(tmp_path: Path) -> None:
    answer = run_module("kubeconfig", path=str(tmp_path / "config"), context="mini", state="absent")
    assert not answer["changed"]
    assert not (tmp_path / "config").exists()


def test_what_others_could_read_is_closed(tmp_path: Path, workspace: str) -> None:
    path = tmp_path / "config"
    run_module("kubeconfig", workspace=workspace, path=str(path))
    path.chmod(0o644)
    answer = run_module("kubeconfig", workspace=workspace, path=str(path))
    assert answer["changed"]
    assert "mode: 0644" in answer["diff"]["before"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "path"),
        ({"path": "config"}, "workspace"),
        ({"path": "config", "state": "absent"}, "context"),
        ({"path": "/nowhere/config", "state": "absent", "context": "x"}, "Option path: expected a file in a folder"),
        ({"path": "/", "state": "absent", "context": "x"}, "Option path: expected a file that can be read"),
        ({"path": "/etc/hostname", "state": "absent", "context": "x"}, "expected a kubeconfig"),
        ({"path": "config", "workspace": "/nowhere"}, "expected the workspace of a cluster"),
        ({"path": "config", "workspace": "x", "current": "perhaps"}, "current"),
        ({"path": "config", "workspace": "x", "state": "there"}, "state"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], said: str) -> None:
    answer = run_module("kubeconfig", **arguments)
    assert answer["failed"]
    assert said in answer["msg"]
