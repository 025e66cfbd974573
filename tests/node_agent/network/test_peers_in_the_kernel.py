# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What changes when the kernel's peers are compared with the cluster's, and where peers are reached."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_interface
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.keys.secret import Secret
from node_agent.network import endpoints
from node_agent.network.reconciling import Endpoint, FoundPeer, WantedPeer, changes

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
CLOSED: Final = (IPv4Network("10.213.0.0/16"), IPv4Network("10.244.0.0/16"))


def wanted(number: int, *, where: int | None = None) -> WantedPeer:
    return WantedPeer(
        public_key=bytes([number] * 32),
        psk=Secret(bytes([number] * 32)),
        endpoint=Endpoint(IPv4Address("192.0.2.0") + (number if where is None else where), 51820),
        allowed=frozenset({IPv4Network(f"10.213.1.{number}"), IPv4Network(f"10.244.{number}.0/24")}),
    )


def found(number: int) -> FoundPeer:
    peer = wanted(number)
    return FoundPeer(public_key=peer.public_key, psk=peer.psk, endpoint=peer.endpoint, allowed=peer.allowed)


def test_what_is_right_is_left_alone() -> None:
    result = changes([found(1), found(2)], [wanted(2), wanted(1)], NOW)
    assert (result.removed, result.written) == ((), ())


def test_strangers_go_and_newcomers_come() -> None:
    result = changes([found(1), found(9)], [wanted(1), wanted(2)], NOW)
    assert (result.removed, result.written) == ((bytes([9] * 32),), (wanted(2),))


@pytest.mark.parametrize(
    "changed",
    [
        replace(found(1), psk=None),
        replace(found(1), psk=Secret(bytes(32))),
        replace(found(1), allowed=frozenset()),
        replace(found(1), allowed=found(1).allowed | {IPv4Network("0.0.0.0/0")}),
        replace(found(1), keepalive=25),
        replace(found(1), endpoint=None),
        replace(found(1), endpoint=Endpoint(IPv4Address("203.0.113.1"), 51820)),
        replace(found(1), endpoint=Endpoint(IPv4Address("192.0.2.1"), 1)),
    ],
)
def test_what_others_changed_is_put_right(changed: FoundPeer) -> None:
    assert changes([changed], [wanted(1)], NOW).written == (wanted(1),)


@pytest.mark.parametrize("seconds, stays", [(0, True), (179, True), (180, False), (3600, False)])
def test_a_peer_that_speaks_from_elsewhere_may_stay_there(seconds: int, stays: bool) -> None:
    elsewhere = Endpoint(IPv4Address("203.0.113.1"), 40000)
    roamed = replace(found(1), endpoint=elsewhere, handshake=NOW - timedelta(seconds=seconds))
    assert (changes([roamed], [wanted(1)], NOW).written == ()) is stays


@given(st.sets(st.integers(1, 8)), st.sets(st.integers(1, 8)))
def test_afterwards_there_is_what_should_be(before: set[int], after: set[int]) -> None:
    result = changes([found(number) for number in before], [wanted(number) for number in after], NOW)
    kept = {bytes([number] * 32) for number in before} - set(result.removed)
    assert kept | {peer.public_key for peer in result.written} == {bytes([number] * 32) for number in after}


@pytest.mark.parametrize(
    "announced, chosen",
    [
        (["203.0.113.7", "10.99.0.2"], "10.99.0.2"),
        (["203.0.113.7", "198.51.100.1"], "203.0.113.7"),
        (["127.0.0.1", "169.254.1.1", "224.0.0.1", "0.0.0.0", "fe80::1", "203.0.113.7"], "203.0.113.7"),
        (["10.213.1.7", "10.244.1.7"], None),
        (["10.99.0.1", "203.0.113.7"], "203.0.113.7"),
        (["2001:db8::7"], "2001:db8::7"),
        ([], None),
    ],
)
def test_the_nearest_address_is_chosen(announced: list[str], chosen: str | None) -> None:
    own = [ip_interface("10.99.0.1/24"), ip_interface("fd00::1/64")]
    address = endpoints.choose([ip_address(text) for text in announced], own, CLOSED)
    assert address == (ip_address(chosen) if chosen else None)


async def test_names_are_resolved_and_unknown_ones_left_out() -> None:
    found_addresses = await endpoints.resolve(["192.0.2.1", "unknown.invalid", "localhost", "a" * 70 + ".x", ""])
    assert found_addresses[0] == ip_address("192.0.2.1")
    assert set(found_addresses[1:]) <= {ip_address("127.0.0.1"), ip_address("::1")}


@pytest.mark.parametrize(
    "paths, mtu",
    [
        ([], 1440),
        ([("192.0.2.1", 1500)], 1440),
        ([("192.0.2.1", 9000), ("192.0.2.2", 1450)], 1390),
        ([("2001:db8::1", 1500)], 1420),
        ([("192.0.2.1", 576)], 1280),
    ],
)
def test_the_mesh_carries_what_every_path_carries(paths: list[tuple[str, int]], mtu: int) -> None:
    assert endpoints.mtu((ip_address(address), size) for address, size in paths) == mtu
