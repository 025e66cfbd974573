# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A Terraform state tells its hosts, and none of its secrets."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.errors import ConfigError
from constellation_core.roles import Role
from constellation_engine.inventory import inventory_of_terraform_state

SECRET = "ab" * 32
MACHINE = {
    "name": "control-plane-0",
    "role": "control-plane",
    "address": "192.168.77.11",
    "state": "running",
    "reason": None,
    "endpoints": {"verification": "127.0.0.1:30081"},
}
MACHINES = {
    "workspace": "/clusters/mini",
    "image": {"value": {"path": "/images/qemu-vtpm-1"}, "type": ["object", {"path": "string"}]},
    "name": "mini",
    "nodes": [MACHINE, {**MACHINE, "name": "worker-0", "role": "worker", "state": "stopped"}],
}
CLUSTER = {
    "workspace": "/clusters/mini",
    "name": "mini",
    "image": None,
    "master_secret": SECRET,
    "nodes": [{"name": "control-plane-0", "role": "control-plane", "ready": True, "attested": True}],
}


def resource(kind: str, attributes: dict[str, Any], *, mode: str = "managed") -> dict[str, Any]:
    return {"mode": mode, "type": kind, "name": "this", "instances": [{"attributes": attributes}]}


def state(*resources: dict[str, Any], version: int = 4) -> bytes:
    return json.dumps({"version": version, "resources": list(resources)}).encode()


BOTH = state(resource("constellation_local_machines", MACHINES), resource("constellation_cluster", CLUSTER))


def test_machines_and_what_their_cluster_says_of_them_are_one_host() -> None:
    first, second = inventory_of_terraform_state(BOTH).hosts
    assert (first.name, first.role, first.cluster) == ("control-plane-0", Role.CONTROL_PLANE, "mini")
    assert (first.image, first.state, first.attested) == ("qemu-vtpm-1", "running", True)
    assert first.endpoints == {"verification": "127.0.0.1:30081"}
    assert (second.role, second.state, second.attested) == (Role.WORKER, "stopped", False)


def test_no_secret_of_a_state_is_in_its_inventory() -> None:
    assert SECRET in BOTH.decode()
    assert SECRET not in repr(inventory_of_terraform_state(BOTH))


def test_a_cluster_that_lives_elsewhere_has_nodes_of_which_less_is_known() -> None:
    (host,) = inventory_of_terraform_state(state(resource("constellation_cluster", CLUSTER))).hosts
    assert (host.attested, host.workspace, host.state) == (True, "", "")


def test_what_is_not_ours_is_not_looked_at() -> None:
    others = [resource("aws_instance", {"id": 1}), resource("constellation_cluster", {}, mode="data")]
    assert inventory_of_terraform_state(state(*others)).hosts == ()


@pytest.mark.parametrize(
    "document, said",
    [
        (b"", "not JSON"),
        (state(version=3), "version 3"),
        (b'{"encrypted_data": "", "version": 0}', "encrypted"),
        (state(resource("constellation_cluster", {**CLUSTER, "nodes": [{}]})), "not understood"),
        (state(resource("constellation_cluster", {**CLUSTER, "nodes": 7})), "not understood"),
        (state({"type": "constellation_cluster"}), "not understood"),
    ],
)
def test_what_is_no_state_is_refused(document: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        inventory_of_terraform_state(document)
    assert caught.value.hint


@given(st.integers(0, len(BOTH)), st.binary(max_size=3))
def test_a_damaged_state_is_refused_or_read(at: int, damage: bytes) -> None:
    with suppress(ConfigError):
        inventory_of_terraform_state(BOTH[:at] + damage + BOTH[at + len(damage) :])
