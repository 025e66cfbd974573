# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a cluster is asked for besides its machines: kept, read strictly, and what the first node is told."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from constellation_core.join_config import ControlPlanes
from constellation_engine.errors import WorkspaceError
from constellation_engine.local_cluster.first_node import request_of
from constellation_engine.local_cluster.settings import (
    SETTINGS_FILE,
    ClusterSettings,
    image_join_config,
    join_config,
    read_settings,
    write_settings,
)
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace
from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = ClusterSettings(
    certificate_sans=("mini.example", "192.0.2.7"),
    service_network=IPv4Network("10.97.0.0/16"),
    pod_network=IPv4Network("10.245.0.0/16"),
    master_secret="version 1",
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    image = FakeImage().write(tmp_path / "image")
    return Workspace.create(tmp_path / "mini", ClusterSpec(image=image.path))


def test_without_settings_it_is_the_usual(workspace: Workspace) -> None:
    assert read_settings(workspace) == ClusterSettings()
    assert not (workspace.folder / SETTINGS_FILE).exists()


def test_settings_are_kept_for_their_owner_alone(workspace: Workspace) -> None:
    write_settings(workspace, SETTINGS)
    assert read_settings(workspace) == SETTINGS
    assert (workspace.folder / SETTINGS_FILE).stat().st_mode & 0o777 == 0o600


def test_the_first_node_is_told(workspace: Workspace) -> None:
    chosen = replace(image_join_config(workspace), control_planes=ControlPlanes(max=5)).to_yaml()
    write_settings(workspace, replace(SETTINGS, join_config=chosen))
    request = request_of(workspace)
    assert "mini.example" in request.certificate_sans
    assert "127.0.0.1" in request.certificate_sans
    assert (request.service_cidr, request.pod_cidr) == ("10.97.0.0/16", "10.245.0.0/16")
    assert request.join_config == chosen
    assert join_config(workspace).control_planes.max == 5


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"colour": "red"},
        {"certificate_sans": ["a b"]},
        {"pod_network": "10.245.0.0"},
        {"service_network": "8.8.8.0/24"},
    ],
)
def test_damaged_settings_are_refused(workspace: Workspace, change: dict[str, Any]) -> None:
    (workspace.folder / SETTINGS_FILE).write_text(json.dumps(SETTINGS.to_record() | change))
    with pytest.raises(WorkspaceError, match=r"settings\.json"):
        read_settings(workspace)


@given(st.data())
def test_any_bytes_may_be_there(data: st.DataObject) -> None:
    document = bytearray(json.dumps(SETTINGS.to_record()).encode())
    place = data.draw(st.integers(0, len(document) - 1))
    document[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedError):
        ClusterSettings.from_document(bytes(document[: data.draw(st.integers(0, len(document)))]))
