# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a disk remembers of its cluster."""

from __future__ import annotations

import contextlib
import json
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constellation_core.roles import Role
from node_agent.errors import PermanentError
from node_agent.membership import Membership
from node_agent.parts import Peer

if TYPE_CHECKING:
    from pathlib import Path

PEER = Peer(
    name="worker-0",
    public_key=bytes(range(32)),
    mesh_address=IPv4Address("10.213.1.2"),
    endpoints=("10.99.0.2", "worker-0.example.org"),
    pod_cidr=IPv4Network("10.244.1.0/24"),
    role=Role.CONTROL_PLANE,
)
MEMBERSHIP = Membership(
    name="control-0",
    role=Role.CONTROL_PLANE,
    cluster_id=b"\xab" * 32,
    measurement_salt=b"\xcd" * 32,
    mesh_address=IPv4Address("10.213.1.1"),
    pod_cidr=IPv4Network("10.244.0.0/16"),
    service_cidr=IPv4Network("10.96.0.0/12"),
    endpoint="10.213.0.1:6443",
    peers=(PEER, Peer(name="worker-1", public_key=bytes(32), mesh_address=IPv4Address("10.213.1.3"))),
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    MEMBERSHIP.save(tmp_path)
    assert Membership.load(tmp_path) == MEMBERSHIP
    assert MEMBERSHIP.short_id == "abababababab"


def test_only_root_looks(tmp_path: Path) -> None:
    MEMBERSHIP.save(tmp_path)
    assert (tmp_path / "constellation").stat().st_mode & 0o777 == 0o700


def test_a_power_cut_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MEMBERSHIP.save(tmp_path)
    monkeypatch.setattr("os.fsync", lambda _descriptor: (_ for _ in ()).throw(OSError("no power")))
    with pytest.raises(OSError, match="no power"):
        MEMBERSHIP.with_peers([]).save(tmp_path)
    assert Membership.load(tmp_path) == MEMBERSHIP


def test_what_a_release_before_endpoints_saved_is_loaded(tmp_path: Path) -> None:
    MEMBERSHIP.save(tmp_path)
    path = tmp_path / "constellation" / "membership.json"
    record: dict[str, Any] = json.loads(path.read_text())
    del record["endpoint"]
    for peer in record["peers"]:
        del peer["role"]
    path.write_text(json.dumps(record))
    loaded = Membership.load(tmp_path)
    assert loaded.endpoint == ""
    assert {peer.role for peer in loaded.peers} == {Role.WORKER}


def test_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="does not say whose node this is"):
        Membership.load(tmp_path)


JSON = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.lists(st.integers() | st.dictionaries(st.text(), st.text()))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_values_are_loaded_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    MEMBERSHIP.save(tmp_path)
    path = tmp_path / "constellation" / "membership.json"
    record: dict[str, Any] = json.loads(path.read_text())
    record[data.draw(st.sampled_from(sorted(record)))] = data.draw(JSON)
    path.write_text(json.dumps(record))
    with contextlib.suppress(PermanentError):
        Membership.load(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_peers_are_loaded_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    MEMBERSHIP.save(tmp_path)
    path = tmp_path / "constellation" / "membership.json"
    record: dict[str, Any] = json.loads(path.read_text())
    record["peers"][0][data.draw(st.sampled_from(sorted(record["peers"][0])))] = data.draw(JSON)
    path.write_text(json.dumps(record))
    with contextlib.suppress(PermanentError):
        Membership.load(tmp_path)
