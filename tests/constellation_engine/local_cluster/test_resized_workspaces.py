# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Workers leave a cluster before their machines go; secrets are chosen before, and not after; phases run apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lightkube import ApiError
from lightkube.resources.core_v1 import Node

from constellation_core.cluster_objects import NodeIdentityObject
from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.errors import ClusterError, WorkspaceError
from constellation_engine.local_cluster import ClusterSpec, Phase, Workspace, bring_up, phases, tear_down
from constellation_engine.local_cluster.machines import surplus
from constellation_engine.local_cluster.resizing import remove_surplus
from constellation_engine.machines import MachineSpec
from constellation_engine.machines.spec_file import to_json
from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.known_nodes import let_in

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A cluster of three machines that are off."""
    made = Workspace.create(tmp_path / "mini", ClusterSpec(image=tmp_path / "image", workers=2))
    for name in ("control-plane-0", "worker-0", "worker-1"):
        (made.machines / name).mkdir(parents=True)
        (made.machines / name / "spec.json").write_text(to_json(MachineSpec(image=tmp_path / "image" / "node.raw")))
    for phase in Phase:
        made.finish(phase)
    return made


@pytest.fixture
def cluster(clean_cluster: ControlPlane, workspace: Workspace) -> ControlPlane:
    """Its API server, which knows the second worker."""
    client = clean_cluster.client()
    serve_our_kinds(client)
    let_in(client, "worker-1", "ab" * 32, "192.168.77.102")
    workspace.initialised(bytes(32), clean_cluster.kubeconfig().read_bytes())
    return clean_cluster


def names(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in workspace.machines.iterdir())


def test_a_worker_leaves_the_cluster_and_then_the_host(workspace: Workspace, cluster: ControlPlane) -> None:
    workspace.resize(1)
    assert [machine.name for machine in surplus(workspace)] == ["worker-1"]
    assert workspace.state.finished == ("init", "services")
    said: list[str] = []
    remove_surplus(workspace, report=said.append)
    assert said == ["switching worker-1 off", "worker-1 leaves the cluster", "removing worker-1"]
    assert list(cluster.client().list(NodeIdentityObject)) == []
    with pytest.raises(ApiError, match="not found"):
        cluster.client().get(Node, "worker-1")
    assert names(workspace) == ["control-plane-0", "worker-0"]
    remove_surplus(workspace, report=said.append)
    assert len(said) == 3


def test_a_worker_that_the_cluster_forgot_goes_all_the_same(workspace: Workspace, cluster: ControlPlane) -> None:
    cluster.client().delete(Node, "worker-1")
    cluster.client().delete(NodeIdentityObject, "worker-1")
    workspace.resize(1)
    remove_surplus(workspace, report=lambda _: None)
    assert names(workspace) == ["control-plane-0", "worker-0"]


def test_a_machine_stays_if_the_cluster_cannot_be_told(workspace: Workspace, cluster: ControlPlane) -> None:
    away = workspace.kubeconfig.read_text().replace(cluster.url, "https://127.0.0.1:1")
    workspace.kubeconfig.write_text(away)
    workspace.resize(1)
    with pytest.raises(ClusterError, match="does not answer"):
        remove_surplus(workspace, report=lambda _: None)
    assert "worker-1" in names(workspace)


def test_without_a_cluster_nobody_has_to_be_told(workspace: Workspace) -> None:
    workspace.resize(0)
    remove_surplus(workspace, report=lambda _: None)
    assert names(workspace) == ["control-plane-0"]


def test_too_many_workers_change_nothing(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="workers: expected"):
        workspace.resize(99)
    assert workspace.state.spec.workers == 2


def test_a_master_secret_is_chosen_before_there_is_a_cluster(workspace: Workspace) -> None:
    chosen = MasterSecret.random()
    workspace.use_master_secret(chosen)
    assert workspace.master_secret() == chosen
    assert (workspace.folder / "master-secret.json").stat().st_mode & 0o777 == 0o600
    workspace.initialised(bytes(32), b"kubeconfig")
    workspace.use_master_secret(chosen)
    with pytest.raises(WorkspaceError, match="another master secret"):
        workspace.use_master_secret(MasterSecret.random())
    assert workspace.master_secret() == chosen


def test_a_wiped_place_has_nothing_of_its_cluster(workspace: Workspace) -> None:
    workspace.initialised(bytes(32), b"kubeconfig")
    before, secret = workspace.state, workspace.master_secret()
    phases.wipe(workspace, report=lambda _: None)
    after = Workspace.open(workspace.folder)
    assert (after.state.cluster_id, after.state.finished, names(after)) == (b"", (), [])
    assert after.state.uid == before.uid
    assert after.state.request_id != before.request_id
    assert after.state.measurement_salt != before.measurement_salt
    assert after.master_secret() != secret
    assert not after.kubeconfig.exists()


def test_whoever_is_interrupted_while_tearing_down_finds_a_workspace(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("pathlib.Path.unlink", _no)
        with pytest.raises(OSError, match="no"):
            tear_down(workspace, report=lambda _: None)
    tear_down(Workspace.open(workspace.folder), report=lambda _: None)
    assert not workspace.folder.exists()


def test_only_the_phases_that_are_asked_for_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for phase in Phase:
        workspace.begin_again([phase])
    monkeypatch.setattr(phases._Run, "start_machines", lambda run: run.tell("machines are on"))
    said: list[str] = []
    bring_up(workspace, report=lambda step: said.append(str(step)), phases=(Phase.INFRASTRUCTURE,))
    assert said == ["infrastructure: begins", "infrastructure: machines are on", "infrastructure: done"]
    assert workspace.state.finished == ("infrastructure",)


class _EnoughError(Exception):
    """Whoever asked wants no more."""


def test_a_run_ends_where_somebody_wants_it_to(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def go_on() -> None:
        if looks:
            raise _EnoughError

    async def never() -> None:
        import asyncio  # noqa: PLC0415 - only this waits

        looks.append("waiting")
        await asyncio.Event().wait()

    monkeypatch.setattr(phases._Run, "verify", lambda run: run._await(never()))
    with pytest.raises(_EnoughError):
        bring_up(workspace, report=lambda _: None, phases=(Phase.VERIFY,), go_on=go_on)
    assert looks == ["waiting"]


def _no(*_: object, **__: object) -> None:
    raise OSError("no")
