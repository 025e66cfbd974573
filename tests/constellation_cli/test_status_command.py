# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation status`: what people and programs see, once and while they watch."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node

from constellation_cli import watching
from constellation_cli.output import OutputFormat
from constellation_cli.status_record import Look
from constellation_engine.cluster.status import NamedCondition
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace
from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    from constellation_engine.testing.control_plane import ControlPlane

PATIENCE: Final = 50.0  # seconds; a busy machine takes long to import


@pytest.fixture
def cluster(clean_cluster: ControlPlane) -> ControlPlane:
    """A cluster that knows our kinds of objects, and one node that never reported."""
    client = clean_cluster.client()
    serve_our_kinds(client)
    client.create(Node(metadata=ObjectMeta(name="worker-1")))
    return clean_cluster


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    image = FakeImage().write(tmp_path / "image")
    return Workspace.create(tmp_path / "mini", ClusterSpec(image=image.path))


def test_what_is_missing_is_status_1(constellation: Callable[..., Result], cluster: ControlPlane) -> None:
    result = constellation("status", "--kubeconfig", cluster.kubeconfig(), "-o", "json")
    record = json.loads(result.stdout)
    assert (result.exit_code, record["version"], record["ok"], record["workspace"]) == (1, 1, False, None)
    assert record["nodes"][0]["name"] == "worker-1"
    missing = {one["name"]: one["missing"] for one in record["conditions"] if not one["ok"]}
    assert missing["all nodes are Ready"] == "worker-1 (it never reported)"


def test_people_see_tables(constellation: Callable[..., Result], cluster: ControlPlane) -> None:
    lines = constellation("status", "--kubeconfig", cluster.kubeconfig()).stdout.splitlines()
    for title in ("nodes", "services", "join-config", "conditions"):
        assert title in lines
    assert "✓  the API server answers" in lines


def test_a_workspace_shows_its_phases_before_there_is_an_api_server(
    constellation: Callable[..., Result], workspace: Workspace
) -> None:
    workspace.finish("infrastructure")
    result = constellation("status", "--workspace", workspace.folder)
    assert result.exit_code == 1
    assert "✓  infrastructure" in result.stdout
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "✗ all machines run control-plane-0 was not made, worker-0 was not made" in lines
    assert "the first node is not initialised yet" in result.stdout


def test_an_api_server_that_does_not_answer_is_something_missing(
    constellation: Callable[..., Result], workspace: Workspace, cluster: ControlPlane
) -> None:
    config = cluster.kubeconfig().read_text().replace(cluster.url, "https://127.0.0.1:1")
    workspace.initialised(bytes(32), config.encode())
    result = constellation("status", "--workspace", workspace.folder, "-o", "json")
    record = json.loads(result.stdout)
    assert (result.exit_code, record["nodes"]) == (1, None)
    assert "does not answer" in record["conditions"][-1]["missing"]


def test_without_a_kubeconfig_there_is_nothing_to_show(constellation: Callable[..., Result], tmp_path: Path) -> None:
    result = constellation("status", "--kubeconfig", tmp_path / "nowhere")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot be read" in result.stderr


def test_a_folder_that_is_no_workspace_is_refused(constellation: Callable[..., Result], tmp_path: Path) -> None:
    result = constellation("status", "--workspace", tmp_path)
    assert (result.exit_code, "constellation mini up makes one" in result.stderr) == (1, True)


def looks(*missing: str) -> Iterator[Look]:
    """Give looks at a cluster to which things happen."""
    for words in missing:
        condition = NamedCondition("all nodes are Ready", words)
        yield Look(at=datetime(2026, 11, 21, tzinfo=UTC), conditions=(condition,), cluster=None, workspace=None)


def watch(output: OutputFormat, *missing: str) -> Look:
    """Watch until there is nothing more to see."""
    shown = looks(*missing)

    def look() -> Look:
        try:
            return next(shown)
        except StopIteration:
            raise KeyboardInterrupt from None

    return watching.watch_until_interrupted(look, output, None)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "INTERVAL", 0.001)


def test_elsewhere_than_on_a_terminal_changes_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    last = watch(OutputFormat.TABLE, "worker-1", "worker-1", "")
    assert capsys.readouterr().out.splitlines() == [
        "2026-11-21T00:00:00Z  all nodes are Ready: worker-1",
        "2026-11-21T00:00:00Z  every condition holds",
    ]
    assert last.holds


def test_programs_get_a_record_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    watch(OutputFormat.JSON, "worker-1", "worker-1", "")
    assert [json.loads(line)["ok"] for line in capsys.readouterr().out.splitlines()] == [False, True]


def test_watching_ends_with_the_time(constellation: Callable[..., Result], workspace: Workspace) -> None:
    result = constellation("status", "--for", "0.05", "--workspace", workspace.folder)
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 1)


@pytest.fixture
def watching_program(workspace: Workspace) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The program, which watches on a terminal, and our end of that."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "constellation_cli", "status", "-w", "--workspace", str(workspace.folder)]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it, and so would a child
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm"}
    ) as program:
        os.close(theirs)
        try:
            yield program, ours
        finally:
            program.kill()
            os.close(ours)


def test_a_terminal_is_drawn_anew_until_somebody_presses_control_c(
    watching_program: tuple[subprocess.Popen[bytes], int],
) -> None:
    program, screen = watching_program
    seen = b""
    while seen.count(b"\x1b[2J") < 2:
        assert select.select([screen], [], [], PATIENCE)[0], seen
        seen += os.read(screen, 65536)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=PATIENCE)
    assert (program.returncode, said) == (1, b"")
