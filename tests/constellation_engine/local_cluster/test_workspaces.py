# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of a local cluster: made once, for its owner alone, and never for another cluster."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from constellation_core.roles import Role
from constellation_engine.errors import WorkspaceError
from constellation_engine.local_cluster.machines import places
from constellation_engine.local_cluster.workspace import STATE_FILE, ClusterSpec, State, Workspace

SPEC = ClusterSpec(image=Path("image"), control_planes=3, workers=2)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "mini", SPEC)


def test_it_is_for_its_owner_alone(workspace: Workspace) -> None:
    workspace.initialised(bytes(32), b"kubeconfig")
    assert workspace.folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in workspace.folder.iterdir()} == {
        "cluster.json": 0o600,
        "init-secret": 0o600,
        "kubeconfig": 0o600,
        "master-secret.json": 0o600,
    }


def test_it_is_found_again_as_it_was(workspace: Workspace) -> None:
    workspace.finish("infrastructure")
    workspace.initialised(bytes(range(32)), b"kubeconfig")
    assert Workspace.open(workspace.folder).state == workspace.state


def test_made_again_it_is_the_same(workspace: Workspace) -> None:
    again = Workspace.create(workspace.folder, SPEC)
    assert again.state == workspace.state
    assert again.init_secret() == workspace.init_secret()


def test_another_cluster_does_not_take_its_place(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="workers is 2, not 5") as caught:
        Workspace.create(workspace.folder, replace(SPEC, workers=5))
    assert "mini down" in caught.value.hint


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("dear diary")
    with pytest.raises(WorkspaceError, match="holds no cluster"):
        Workspace.create(tmp_path, SPEC)
    assert [path.name for path in tmp_path.iterdir()] == ["diary"]


def test_no_workspace_is_said_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="there is none") as caught:
        Workspace.open(tmp_path)
    assert "mini up" in caught.value.hint


def test_two_clusters_have_nothing_in_common(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace.create(tmp_path / "other", SPEC)
    assert workspace.state.uid != other.state.uid
    assert workspace.state.measurement_salt != other.state.measurement_salt
    assert workspace.init_secret() != other.init_secret()
    assert workspace.master_secret() != other.master_secret()


def test_phases_may_begin_again(workspace: Workspace) -> None:
    for phase in ("infrastructure", "init", "init"):
        workspace.finish(phase)
    assert workspace.state.finished == ("infrastructure", "init")
    workspace.begin_again(["init"])
    assert Workspace.open(workspace.folder).state.finished == ("infrastructure",)


@pytest.mark.parametrize(
    "change", [{"control_planes": 2}, {"control_planes": 0}, {"workers": -1}, {"name": "My Cluster"}]
)
def test_a_cluster_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(WorkspaceError, match="expected"):
        replace(SPEC, **change)  # type: ignore[arg-type]


@given(st.data())
def test_a_damaged_description_is_refused(data: st.DataObject) -> None:
    state = State(spec=SPEC, uid="u", request_id="r", measurement_salt=bytes(32))
    document = bytearray(json.dumps(state.to_record()).encode())
    place = data.draw(st.integers(0, len(document) - 1))
    document[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedError, WorkspaceError):
        State.from_document(bytes(document))


def test_a_description_of_a_newer_release_is_refused(workspace: Workspace) -> None:
    place = workspace.folder / STATE_FILE
    record = json.loads(place.read_text())
    place.write_text(json.dumps({**record, "version": 2}))
    with pytest.raises(WorkspaceError, match="version"):
        Workspace.open(workspace.folder)


def test_machines_have_names_and_addresses_of_their_own(workspace: Workspace) -> None:
    found = places(workspace)
    assert [place.name for place in found] == [
        "control-plane-0",
        "control-plane-1",
        "control-plane-2",
        "worker-0",
        "worker-1",
    ]
    assert len({place.address for place in found}) == len(found)


def test_only_control_planes_are_reached_for_init(workspace: Workspace) -> None:
    for place in places(workspace):
        names = {forward.name for forward in place.forwards}
        assert ("init" in names) == (place.role is Role.CONTROL_PLANE)
        assert "verification" in names
