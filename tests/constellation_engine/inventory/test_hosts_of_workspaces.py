# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A workspace tells its hosts; whom nobody calls attested is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from constellation_core.roles import Role
from constellation_engine.inventory import inventory_of_workspace
from constellation_engine.local_cluster import Workspace
from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.known_nodes import let_in, workspace_of_nodes

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_of_nodes(tmp_path, {"control-plane-0": 30081}, bytes(32))


def test_every_machine_that_shall_be_is_a_host(workspace: Workspace) -> None:
    first, second = inventory_of_workspace(workspace, ask=False).hosts
    assert (first.name, first.role, first.state) == ("control-plane-0", Role.CONTROL_PLANE, "stopped")
    assert first.endpoints == {"verification": "127.0.0.1:30081"}
    assert (second.name, second.state, second.endpoints) == ("worker-0", "missing", {})
    assert {first.image, second.image} == {"image"}


def test_an_api_server_that_does_not_answer_is_a_gap(workspace: Workspace) -> None:
    found = inventory_of_workspace(workspace, patience=1)
    assert len(found.gaps) == 1
    assert not any(host.attested for host in found.hosts)


def test_who_was_let_in_is_attested(workspace: Workspace, clean_cluster: ControlPlane) -> None:
    serve_our_kinds(clean_cluster.client())
    let_in(clean_cluster.client(), "worker-0", "ab" * 32)
    workspace.kubeconfig.write_bytes(clean_cluster.kubeconfig().read_bytes())
    found = inventory_of_workspace(Workspace.open(workspace.folder))
    assert found.gaps == ()
    assert {host.name: host.attested for host in found.hosts} == {"control-plane-0": False, "worker-0": True}


def test_no_secret_of_a_workspace_is_in_its_inventory(workspace: Workspace) -> None:
    said = repr(inventory_of_workspace(workspace, ask=False))
    secrets = (workspace.master_secret().secret.reveal().hex(), workspace.init_secret().reveal().decode())
    assert not any(re.search(secret, said) for secret in secrets)
