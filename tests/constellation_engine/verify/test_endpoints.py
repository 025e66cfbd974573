# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where nodes are, as people write it and as clusters say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lightkube.models.core_v1 import NodeAddress, NodeStatus
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node
from lightkube.resources.core_v1 import NodeStatus as NodeStatusObject

from constellation_core.errors import ConfigError
from constellation_engine.cluster.cluster_verdict import Endpoint
from constellation_engine.cluster.members import Member, read_members
from constellation_engine.errors import ClusterError
from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.known_nodes import some_identity

if TYPE_CHECKING:
    from constellation_core.cluster_objects import NodeIdentity
    from constellation_engine.testing.control_plane import ControlPlane

ADDRESSES = (
    ("InternalIP", "192.0.2.1"),
    ("Hostname", "host-1"),
    ("ExternalIP", "203.0.113.1"),
    ("InternalDNS", "never.asked"),
)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("192.0.2.7", Endpoint("192.0.2.7", 30081)),
        ("node.example:9091", Endpoint("node.example", 9091)),
        ("worker-1=192.0.2.7", Endpoint("192.0.2.7", 30081, "worker-1")),
        ("worker-1=[2001:db8::7]:9091", Endpoint("2001:db8::7", 9091, "worker-1")),
        ("[fe80::1%eth0]", Endpoint("fe80::1%eth0", 30081)),
    ],
)
def test_what_people_write_is_read(text: str, expected: Endpoint) -> None:
    assert Endpoint.parse(text) == expected


@pytest.mark.parametrize("text", ["", "=host", "host:", "host:0", "host:65536", "2001:db8::7", "a b", "a=b=c", "[::1"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Endpoint.parse(text)


@given(st.text())
@example("host:99999")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except ConfigError:
        return
    assert Endpoint.parse(f"{endpoint.name}={endpoint.address}".removeprefix("=")) == endpoint


def test_people_see_the_name_or_else_the_address() -> None:
    assert str(Endpoint("192.0.2.7", name="worker-1")) == "worker-1"
    assert str(Endpoint("2001:db8::7")) == "[2001:db8::7]:30081"


def test_a_member_without_an_address_is_not_asked_in_silence() -> None:
    with pytest.raises(ClusterError, match="node worker-1 has no address"):
        Member("worker-1", (), None).endpoint()


def attested(name: str) -> NodeIdentity:
    return some_identity(name, mesh_address="10.213.0.2", addresses=("192.0.2.9",))


def test_a_cluster_says_which_nodes_it_has(clean_cluster: ControlPlane) -> None:
    client = clean_cluster.client()
    serve_our_kinds(client)
    addresses = [NodeAddress(type=kind, address=where) for kind, where in ADDRESSES]
    for name in ("kubernetes-only", "both"):
        client.create(Node(metadata=ObjectMeta(name=name)))
        client.patch(NodeStatusObject, name, {"status": NodeStatus(addresses=addresses).to_dict()})
    for name in ("both", "mesh-only"):
        client.create(attested(name).to_object(annotations={}))
    assert read_members(client) == (
        Member("both", ("203.0.113.1", "192.0.2.1", "host-1", "192.0.2.9"), bytes.fromhex("ab" * 32)),
        Member("kubernetes-only", ("203.0.113.1", "192.0.2.1", "host-1"), None),
        Member("mesh-only", ("192.0.2.9",), bytes.fromhex("ab" * 32)),
    )
