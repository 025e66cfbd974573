# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot work about networks is said in sentences that name options; what can work is not complained about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.constellation.core.plugins.filter.network_problems import MESH, PREFIXES, network_problems
from constellation_core import networks

SOUND: dict[str, Any] = {
    "node_network": "192.168.10.0/24",
    "pod_network": str(networks.DEFAULT_POD_NETWORK),
    "service_network": str(networks.DEFAULT_SERVICE_NETWORK),
    "mtu": 1500,
    "interface": "eno1",
    "control_planes": [{"name": f"control-plane-{i}", "address": f"192.168.10.1{i}"} for i in range(3)],
    "virtual_address": "192.168.10.100",
    "balancers": ["192.168.10.2", "192.168.10.3"],
    "router_id": 51,
}
TWICE = [SOUND["control_planes"][0], SOUND["control_planes"][0], SOUND["control_planes"][1]]


def test_what_can_work_is_not_complained_about() -> None:
    assert network_problems(SOUND) == []
    assert network_problems({**SOUND, "control_planes": [], "virtual_address": "", "interface": ""}) == []


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"node_network": "192.168.10.1/24"}, "Option networking_node_network: expected a network"),
        ({"pod_network": "everywhere"}, "Option networking_pod_network: expected a network"),
        ({"pod_network": "10.213.128.0/20"}, "overlaps, the mesh of nodes has 10.213.0.0/16"),
        ({"service_network": "192.168.0.0/20"}, "Option networking_node_network: 192.168.10.0/24 overlaps"),
        ({"pod_network": "172.16.0.0/24"}, "expected a prefix from /8 to /22"),
        ({"mtu": 1280}, "Option networking_mtu: expected 1340 to 9216, got 1280. WireGuard takes 60"),
        ({"mtu": 65535}, "Option networking_mtu"),
        ({"control_planes": SOUND["control_planes"][:2]}, "expected an odd number, got 2"),
        ({"control_planes": TWICE}, "which another one has as well"),
        ({"control_planes": [{"name": "a", "address": "10.9.9.9"}]}, "a has 10.9.9.9, which is not in"),
        ({"control_planes": [{"name": "a", "address": "a.example"}]}, "a has no address of IPv4"),
        ({"control_planes": []}, "expected at least one to lead the virtual address to"),
        ({"virtual_address": "10.9.9.9"}, "10.9.9.9 is not in networking_node_network"),
        ({"virtual_address": "192.168.10.255"}, "the first or the last"),
        ({"virtual_address": "192.168.10.11"}, "a machine has 192.168.10.11 already"),
        ({"virtual_address": "192.168.10.3"}, "a machine has 192.168.10.3 already"),
        ({"virtual_address": "api.example"}, "Option networking_virtual_address: expected an address"),
        ({"router_id": 256}, "Option networking_router_id: expected 1 to 255"),
        ({"interface": ""}, "Option networking_interface: expected the interface"),
    ],
)
def test_what_cannot_work_is_said(wrong: dict[str, Any], said: str) -> None:
    problems = network_problems({**SOUND, **wrong})
    assert said in " ".join(problems)
    assert all(problem.startswith("Option networking_") and problem.endswith(".") for problem in problems)


def test_everything_is_said_at_once() -> None:
    assert len(network_problems({**SOUND, "mtu": 1, "router_id": 0, "node_network": "?"})) == 3


@given(
    st.dictionaries(st.sampled_from(["node_network", "pod_network", "service_network", "virtual_address"]), st.text())
)
def test_any_text_may_be_given(wrong: dict[str, str]) -> None:
    assert isinstance(network_problems({**SOUND, **wrong}), list)


def test_the_library_has_the_same_networks() -> None:
    assert networks.DEFAULT_MESH_NETWORK == MESH
    assert PREFIXES["pod_network"] == (networks.POD_PREFIXES[0], networks.POD_PREFIXES[-1])
    assert PREFIXES["service_network"] == (networks.SERVICE_PREFIXES[0], networks.SERVICE_PREFIXES[-1])
