# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a rule set is made from, and what is refused before the kernel sees it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.networks import API_ADDRESS
from node_agent.errors import PermanentError
from node_agent.network.firewall import Firewall, rules

PODS: Final = IPv4Network("10.244.0.0/16")


@pytest.mark.parametrize(
    "wrong",
    [
        {"pods": IPv4Network("10.213.4.0/24")},
        {"pods": IPv4Network("10.0.0.0/8")},
        {"pods": PODS, "services": PODS},
        {"services": IPv4Network("10.213.0.0/16")},
        {"own_pods": IPv4Network("10.244.1.0/24")},
        {"pods": PODS, "own_pods": IPv4Network("10.245.1.0/24")},
        {"tcp_ports": (0,)},
        {"tcp_ports": (65536,)},
        {"api_servers": (IPv4Address("192.0.2.1"),)},
        {"api_servers": (IPv4Address("10.213.1.1"), API_ADDRESS)},
    ],
)
def test_networks_that_cannot_be_told_apart_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="expected"):
        Firewall(**wrong)


def test_the_same_node_has_the_same_rules() -> None:
    assert rules(Firewall(pods=PODS)) == rules(Firewall(pods=PODS))


def test_a_worker_opens_nothing() -> None:
    assert "tcp dport" not in rules(Firewall(pods=PODS))


@given(st.lists(st.integers(1, 65535), max_size=5), st.integers(0, 255))
def test_every_rule_set_replaces_the_one_before(ports: list[int], third: int) -> None:
    own = IPv4Network(f"10.244.{third}.0/24")
    text = rules(Firewall(pods=PODS, own_pods=own, tcp_ports=tuple(ports)))
    assert text.startswith("add table inet constellation\ndelete table inet constellation\n")
    assert text.count("policy drop") == 2
    assert f"ip saddr != {own} counter name spoofed drop" in text


def test_no_rule_exempts_a_user_or_a_program() -> None:
    text = rules(Firewall(pods=PODS, tcp_ports=(6443,)))
    assert not any(word in text for word in ("skuid", "skgid", "cgroup", "mark", "uid"))


def test_the_api_is_led_to_the_first_control_plane_that_serves() -> None:
    first, second = IPv4Address("10.213.1.2"), IPv4Address("10.213.1.1")
    text = rules(Firewall(api_servers=(first, second)))
    assert "ip daddr 10.213.0.1 tcp dport 6443 dnat ip to 10.213.1.2\n" in text
    assert "ct reply ip saddr != { 10.213.1.2, 10.213.1.1 } reject with tcp reset\n" in text


def test_nothing_is_translated_where_no_control_plane_is_known() -> None:
    assert str(API_ADDRESS) not in rules(Firewall(pods=PODS))
