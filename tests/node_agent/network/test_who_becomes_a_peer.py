# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who becomes a peer: nobody takes what is another's, and no answer empties the mesh."""

from __future__ import annotations

import base64
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.roles import Role
from node_agent.errors import TemporaryError
from node_agent.network.claims import Identity, Known, PodRange, judge
from node_agent.parts import Peer

KNOWN: Final = Known(
    address=IPv4Address("10.213.1.1"),
    public_key=bytes([1] * 32),
    mesh=IPv4Network("10.213.0.0/16"),
    pods=IPv4Network("10.244.0.0/16"),
    own_pods=None,
    held={},
)

JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)


def node(number: int, *, key: int | None = None, address: int | None = None, created: int | None = None) -> Identity:
    peer = Peer(
        name=f"node-{number}",
        public_key=bytes([number if key is None else key] * 32),
        mesh_address=IPv4Address("10.213.1.0") + (number if address is None else address),
        endpoints=(f"192.0.2.{number}",),
    )
    return Identity(peer, time(number if created is None else created))


def pods(number: int, text: str | None = None, *, created: int | None = None) -> PodRange:
    network = IPv4Network(text or f"10.244.{number}.0/24")
    return PodRange(f"node-{number}", network, time(number if created is None else created))


def time(number: int) -> str:
    return f"2026-01-01T00:{number:02}:00Z"


def held(*nodes: tuple[Identity, PodRange]) -> dict[str, Peer]:
    return {identity.peer.name: replace(identity.peer, pod_cidr=its.network) for identity, its in nodes}


def networks(known: Known, identities: list[Identity], ranges: list[PodRange] | None) -> dict[str, str | None]:
    judgement = judge(known, identities, ranges)
    return {peer.name: str(peer.pod_cidr) if peer.pod_cidr else None for peer in judgement.peers}


def test_all_others_are_peers_with_their_pods() -> None:
    judgement = judge(KNOWN, [node(3), node(1), node(2)], [pods(1), pods(2), pods(3)])
    assert [peer.name for peer in judgement.peers] == ["node-2", "node-3"]
    assert [str(peer.pod_cidr) for peer in judgement.peers] == ["10.244.2.0/24", "10.244.3.0/24"]
    assert (judgement.name, judgement.own_pods, judgement.refusals) == ("node-1", IPv4Network("10.244.1.0/24"), ())


@pytest.mark.parametrize("identities", [[], [node(2)], [node(2), node(3)]])
def test_an_answer_without_this_node_is_not_believed(identities: list[Identity]) -> None:
    with pytest.raises(TemporaryError, match=r"expected a NodeIdentity with our address 10\.213\.1\.1"):
        judge(KNOWN, identities, [pods(2)])


def test_the_key_of_another_is_refused() -> None:
    judgement = judge(KNOWN, [node(1), node(2), node(3, key=2)], [])
    assert [peer.name for peer in judgement.peers] == ["node-2"]
    assert "node-3" in judgement.refusals[0]


def test_who_has_a_key_keeps_it_from_an_older_node() -> None:
    known = replace(KNOWN, held=held((node(3), pods(3))))
    judgement = judge(known, [node(1), node(2, key=3), node(3)], [])
    assert [peer.name for peer in judgement.peers] == ["node-3"]


@pytest.mark.parametrize("thief", [node(2, key=1), node(2, address=1, created=0)])
def test_our_own_key_and_address_are_refused(thief: Identity) -> None:
    judgement = judge(KNOWN, [thief, node(1), node(3)], [])
    assert judgement.name == "node-1"
    assert [peer.name for peer in judgement.peers] == ["node-3"]


def test_this_node_may_have_a_newer_key_than_its_object() -> None:
    judgement = judge(KNOWN, [node(1, key=9), node(2)], [])
    assert (judgement.name, judgement.key_announced) == ("node-1", False)
    assert judge(KNOWN, [node(1)], []).key_announced


def test_an_address_outside_of_the_mesh_is_refused() -> None:
    stranger = replace(node(2).peer, mesh_address=IPv4Address("192.0.2.1"))
    judgement = judge(KNOWN, [node(1), Identity(stranger, time(2))], [])
    assert judgement.peers == ()
    assert "expected an address in 10.213.0.0/16, got 192.0.2.1" in judgement.refusals[0]


@pytest.mark.parametrize("stolen", ["10.244.2.0/24", "10.244.2.128/25", "10.244.2.0/23", "10.244.1.0/24"])
def test_the_pods_of_another_are_refused_and_the_node_stays(stolen: str) -> None:
    found = networks(KNOWN, [node(1), node(2), node(3)], [pods(1), pods(2), pods(3, stolen)])
    assert found == {"node-2": "10.244.2.0/24", "node-3": None}


def test_who_has_pods_keeps_them_from_an_older_node() -> None:
    known = replace(KNOWN, held=held((node(3), pods(3))))
    found = networks(known, [node(1), node(2), node(3)], [pods(2, "10.244.3.0/24"), pods(3)])
    assert found == {"node-2": None, "node-3": "10.244.3.0/24"}


def test_a_node_that_came_back_with_the_pods_of_another_is_the_newcomer() -> None:
    found = networks(KNOWN, [node(1), node(2), node(3)], [pods(2, "10.244.3.0/24", created=50), pods(3)])
    assert found == {"node-2": None, "node-3": "10.244.3.0/24"}


@pytest.mark.parametrize("text", ["10.244.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "10.213.1.0/24", "10.96.0.0/24"])
def test_pods_are_a_part_of_those_of_the_cluster(text: str) -> None:
    judgement = judge(KNOWN, [node(1), node(2)], [pods(2, text)])
    assert judgement.peers[0].pod_cidr is None
    assert f"got {text}" in judgement.refusals[0]


def test_nobody_has_more_pods_than_we() -> None:
    judgement = judge(KNOWN, [node(1), node(2)], [pods(1), pods(2, "10.244.128.0/17")])
    assert judgement.peers[0].pod_cidr is None
    assert "as large as that of others, got 10.244.128.0/17" in judgement.refusals[0]


def test_nobody_has_pods_before_we_know_where_pods_are() -> None:
    assert networks(replace(KNOWN, pods=None), [node(1), node(2)], [pods(2)]) == {"node-2": None}


def test_our_own_pods_must_be_pods_too() -> None:
    judgement = judge(KNOWN, [node(1)], [pods(1, "10.96.0.0/24")])
    assert judgement.own_pods is None
    assert "this node" in judgement.refusals[0]


def test_our_own_pods_do_not_change_under_us() -> None:
    known = replace(KNOWN, own_pods=IPv4Network("10.244.1.0/24"))
    judgement = judge(known, [node(1), node(2)], [pods(1, "10.244.9.0/24"), pods(2, "10.244.1.0/24")])
    assert judgement.own_pods == IPv4Network("10.244.1.0/24")
    assert judgement.peers[0].pod_cidr is None


@pytest.mark.parametrize("ranges", [None, [], [pods(3)]])
def test_a_bad_answer_about_pods_changes_none(ranges: list[PodRange] | None) -> None:
    known = replace(KNOWN, own_pods=IPv4Network("10.244.1.0/24"), held=held((node(2), pods(2))))
    assert networks(known, [node(1), node(2), node(3)], ranges) == {"node-2": "10.244.2.0/24", "node-3": None}


def test_a_node_that_was_deleted_loses_its_pods() -> None:
    known = replace(KNOWN, own_pods=IPv4Network("10.244.1.0/24"), held=held((node(2), pods(2))))
    assert networks(known, [node(1), node(2)], [pods(1)]) == {"node-2": None}


@given(st.data())
def test_whatever_nodes_claim_nothing_overlaps(data: st.DataObject) -> None:
    numbers = st.integers(2, 6)
    identities = [
        node(number, key=data.draw(st.integers(1, 6)), address=data.draw(st.integers(1, 6)), created=data.draw(numbers))
        for number in range(2, 7)
    ]
    prefixes = st.integers(8, 30)
    ranges = [
        pods(number, str(IPv4Network((f"10.244.{data.draw(numbers)}.0", data.draw(prefixes)), strict=False)))
        for number in range(1, 7)
    ]
    before = {identity.peer.name: identity.peer for identity in data.draw(st.lists(st.sampled_from(identities)))}
    judgement = judge(replace(KNOWN, held=before), [node(1), *identities], ranges)
    taken = [judgement.own_pods] if judgement.own_pods else []
    for peer in judgement.peers:
        for network in (IPv4Network(peer.mesh_address), peer.pod_cidr):
            if network is not None:
                assert not any(network.overlaps(other) for other in taken)
                taken.append(network)
    keys = [KNOWN.public_key, *(peer.public_key for peer in judgement.peers)]
    assert len(set(keys)) == len(keys)
    assert KNOWN.address not in {peer.mesh_address for peer in judgement.peers}


def an_object(**spec: object) -> dict[str, Any]:
    key = base64.b64encode(bytes(32)).decode()
    fields = {"role": "worker", "wireguardPublicKey": key, "meshAddress": "10.213.1.1", "addresses": ["192.0.2.1"]}
    return {"metadata": {"name": "node-1", "creationTimestamp": time(1)}, "spec": fields | spec}


def test_an_identity_is_read() -> None:
    identity = Identity.from_object(an_object())
    assert identity.created == time(1)
    assert (identity.peer.name, identity.peer.endpoints) == ("node-1", ("192.0.2.1",))
    assert identity.peer.role is Role.WORKER


@pytest.mark.parametrize(
    "spec",
    [
        {"wireguardPublicKey": "AAAA"},
        {"wireguardPublicKey": "!"},
        {"wireguardPublicKey": None},
        {"meshAddress": "fd00::1"},
        {"meshAddress": "10.213.1.1/32"},
        {"meshAddress": 7},
        {"addresses": "192.0.2.1"},
        {"addresses": [7]},
        {"role": "king"},
        {"role": None},
    ],
)
def test_a_wrong_field_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Identity.from_object(an_object(**spec))


@given(JSON, JSON)
def test_any_object_is_read_or_refused(metadata: object, spec: object) -> None:
    for read in (Identity.from_object, PodRange.from_object):
        try:
            read({"metadata": metadata, "spec": spec})
        except ValueError:
            continue


@pytest.mark.parametrize("text", ["10.244.1.7/24", "fd00::/64", "everything", "10.244.0.0/33"])
def test_pod_addresses_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        PodRange.from_object({"metadata": {"name": "a", "creationTimestamp": ""}, "spec": {"podCIDR": text}})
