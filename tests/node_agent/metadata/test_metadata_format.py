# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata is a stranger's: what it says is read strictly, and nothing but our error comes out of anything else."""

from __future__ import annotations

import contextlib
import json
from ipaddress import ip_interface
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from constellation_core.roles import Role
from node_agent.metadata.record import MAX_SIZE, Metadata, NetworkCard, PeerMachine

HASH = "$2b$12$" + "a" * 53
RECORD: dict[str, Any] = {
    "version": 1,
    "uid": "mini",
    "name": "control-0",
    "role": "control-plane",
    "node_group": "control-planes",
    "zone": "here",
    "provider_id": "qemu:///control-0",
    "init_secret_hash": HASH,
    "recovery_secret_hash": HASH,
    "endpoint": "10.99.0.1:6443",
    "peers": [
        {"name": "control-1", "role": "control-plane", "addresses": ["10.99.0.2", "fd00::2", "Control-1.example.org"]},
        {"name": "worker-0", "role": "worker", "addresses": ["10.99.0.3"]},
    ],
    "network": [{"mac": "52:54:00:00:00:01", "addresses": ["10.99.0.1/24", "fd00::1/64"]}],
}


def read(**changes: object) -> Metadata:
    return Metadata.from_json(json.dumps({**RECORD, **changes}).encode())


def test_every_field_is_read() -> None:
    assert read() == Metadata(
        name="control-0",
        role=Role.CONTROL_PLANE,
        uid="mini",
        node_group="control-planes",
        zone="here",
        provider_id="qemu:///control-0",
        init_secret_hash=HASH,
        recovery_secret_hash=HASH,
        endpoint="10.99.0.1:6443",
        peers=(
            PeerMachine(
                name="control-1",
                role=Role.CONTROL_PLANE,
                addresses=("10.99.0.2", "fd00::2", "control-1.example.org"),
            ),
            PeerMachine(name="worker-0", role=Role.WORKER, addresses=("10.99.0.3",)),
        ),
        network=(
            NetworkCard(mac="52:54:00:00:00:01", addresses=(ip_interface("10.99.0.1/24"), ip_interface("fd00::1/64"))),
        ),
    )


def test_name_and_role_are_enough() -> None:
    found = Metadata.from_json(b'{"version": 1, "name": "worker-0", "role": "worker"}')
    assert (found.name, found.role, found.peers) == ("worker-0", Role.WORKER, ())


def test_what_is_not_known_is_skipped() -> None:
    peers = [{"name": "worker-0", "role": "worker", "addresses": [], "rack": 7}]
    assert read(colour="blue", peers=peers).peers[0].name == "worker-0"


def test_join_services_are_other_control_planes() -> None:
    assert read().join_services == ("10.99.0.2", "fd00::2", "control-1.example.org")
    itself = [{"name": "control-0", "role": "control-plane", "addresses": ["10.99.0.1"]}]
    assert read(peers=itself).join_services == ()


@pytest.mark.parametrize("name", ["version", "name", "role"])
def test_what_must_be_there(name: str) -> None:
    record = {key: value for key, value in RECORD.items() if key != name}
    with pytest.raises(MalformedError, match=f"metadata lacks {name}"):
        Metadata.from_json(json.dumps(record).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"version": "1"},
        {"name": ""},
        {"name": "Control"},
        {"name": "a" * 52},
        {"name": "a..b"},
        {"name": "a\n"},
        {"name": 1},
        {"role": "master"},
        {"role": None},
        {"uid": 1},
        {"uid": "two words"},
        {"zone": "a\x1b[2J"},
        {"provider_id": "x" * 254},
        {"init_secret_hash": "secret"},
        {"init_secret_hash": "$2b$31$" + "a" * 53},
        {"init_secret_hash": "$2b$12$" + "a" * 52},
        {"recovery_secret_hash": ["$2b$"]},
        {"endpoint": {}},
        {"peers": {}},
        {"peers": [1]},
        {"peers": [{}]},
        {"peers": [{"name": "a", "role": "worker", "addresses": "10.0.0.1"}]},
        {"peers": [{"name": "a", "role": "worker", "addresses": [1]}]},
        {"peers": [{"name": "a", "role": "worker", "addresses": ["-"]}]},
        {"peers": [{"name": "a", "role": "worker", "addresses": ["a b"]}]},
        {"peers": [{"name": "a", "role": "worker", "addresses": ["10.0.0.1"] * 17}]},
        {"peers": [{"name": "a", "role": "worker", "addresses": []}] * 257},
        {"network": [{"mac": "52:54:00:00:00:0G", "addresses": []}]},
        {"network": [{"mac": "52:54:00:00:00:01", "addresses": ["10.99.0.1"]}]},
        {"network": [{"mac": "52:54:00:00:00:01", "addresses": ["10.99.0.1/33"]}]},
        {"network": [{"mac": "52:54:00:00:00:01", "addresses": ["10.99.0.1/24; reboot"]}]},
        {"network": [{"mac": "52:54:00:00:00:01", "addresses": []}] * 9},
    ],
)
def test_a_wrong_value_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError, match="metadata"):
        read(**changes)


def test_a_repeated_key_is_refused() -> None:
    with pytest.raises(MalformedError, match="twice"):
        Metadata.from_json(b'{"version": 1, "name": "a", "name": "b", "role": "worker"}')


def test_too_much_is_not_read() -> None:
    with pytest.raises(MalformedError, match="at most 65536"):
        read(colour="x" * MAX_SIZE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text() | st.sampled_from(sorted(RECORD)), children),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(RECORD)), JSON))
def test_any_values_are_read_or_refused(changes: dict[str, Any]) -> None:
    with contextlib.suppress(MalformedError):
        read(**changes)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        Metadata.from_json(data)


@given(st.integers(0, len(json.dumps(RECORD)) - 1), st.binary(max_size=4))
def test_broken_documents_are_read_or_refused(place: int, other: bytes) -> None:
    data = json.dumps(RECORD).encode()
    for broken in (data[:place], data[:place] + other + data[place + 1 :], data + other):
        with contextlib.suppress(MalformedError):
            Metadata.from_json(broken)
