# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Pods made by the real plugins from our configuration, behind our rules."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from constellation_engine.components import Store
from constellation_engine.errors import NotCachedError
from node_agent.network.firewall import Firewall, rules
from node_agent.network.pod_network import SYSCTLS, allow_forwarding, configuration
from tests.node_agent.network.topology import (
    NODE,
    OUTSIDE,
    OWN_PODS,
    PODS,
    PORT,
    SERVICE,
    Namespace,
    link,
    received,
    require_namespaces,
    wait_for_datagram,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGINS: Final = ("bridge", "host-local", "portmap")
HOST_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that plugins made."""

    space: Namespace
    address: str


@dataclass(frozen=True, slots=True)
class PodNode:
    """A node with two pods."""

    space: Namespace
    outside: Namespace
    one: Pod
    other: Pod


@pytest.fixture
def node(tmp_path: Path) -> Iterator[PodNode]:
    require_namespaces()
    missing = [name for name in SYSCTLS if not Path("/proc/sys", name).exists()]
    if missing:
        pytest.skip(f"this kernel lacks {', '.join(missing)} (module br_netfilter)")
    with ExitStack() as resources:
        space, outside = (resources.enter_context(namespace(name)) for name in ("node", "outside"))
        link(space, "eth0", outside, "eth0")
        space.ip(f"addr add {NODE}/24 dev eth0")
        outside.ip(f"addr add {OUTSIDE}/24 dev eth0")
        space.run("nft", "-f", "-", text=rules(Firewall(pods=PODS, own_pods=OWN_PODS)))
        with space.entered():
            allow_forwarding()
        one, other = (resources.enter_context(pod(space, tmp_path, port)) for port in (HOST_PORT, HOST_PORT + 1))
        redirection = f"ip daddr {SERVICE} dnat to {other.address}"
        chain = f"chain redirected {{ type nat hook prerouting priority dstnat; {redirection}; }};"
        space.run("nft", "-f", "-", text=f"table ip kube-proxy {{ {chain} }}")
        yield PodNode(space, outside, one, other)


@contextmanager
def namespace(name: str) -> Iterator[Namespace]:
    made = Namespace(name)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def pod(node: Namespace, folder: Path, host_port: int) -> Iterator[Pod]:
    with namespace("pod") as space:
        result = add_to_network(node, space, folder, host_port)
        yield Pod(space, result["ips"][0]["address"].partition("/")[0])


def add_to_network(node: Namespace, pod_space: Namespace, folder: Path, host_port: int) -> dict[str, Any]:
    """Do what containerd does with the configuration."""
    try:
        paths = {name: Store().path(name) for name in PLUGINS}
    except NotCachedError as error:
        pytest.skip(f"{error} ({error.hint})")
    record: dict[str, Any] = configuration(OWN_PODS, 1440)
    result: dict[str, Any] = {}
    for plugin in record["plugins"]:
        call = {"cniVersion": record["cniVersion"], "name": record["name"], **plugin}
        if "ipam" in call:
            call["ipam"] = {**call["ipam"], "dataDir": str(folder)}
        if result:
            mapping = {"hostPort": host_port, "containerPort": PORT, "protocol": "udp"}
            call |= {"prevResult": result, "runtimeConfig": {"portMappings": [mapping]}}
        environment = {
            "CNI_COMMAND": "ADD",
            "CNI_CONTAINERID": pod_space.name,
            "CNI_NETNS": f"/run/netns/{pod_space.name}",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": ":".join(str(path.parent) for path in paths.values()),
        }
        assignments = [f"{name}={value}" for name, value in environment.items()]
        result = json.loads(node.run("env", *assignments, str(paths[plugin["type"]]), text=json.dumps(call)))
    return result


def test_pods_have_addresses_of_this_node(node: PodNode) -> None:
    addresses = {node.one.address, node.other.address}
    assert len(addresses) == 2
    assert all(IPv4Network(address).subnet_of(OWN_PODS) for address in addresses)
    assert "mtu 1440" in node.one.space.run("ip", "link", "show", "eth0")


def test_pods_of_one_node_reach_one_another(node: PodNode) -> None:
    with node.one.space.udp() as sender, node.other.space.udp() as receiver:
        sender.sendto(b"hello", (node.other.address, PORT))
        assert wait_for_datagram(receiver) == (b"hello", node.one.address)


def test_a_service_answers_from_the_same_bridge(node: PodNode) -> None:
    with node.one.space.udp() as client, node.other.space.udp() as server:
        client.connect((SERVICE, PORT))
        client.send(b"ask")
        data, address = wait_for_datagram(server)
        server.sendto(data + b" and answer", (address, PORT))
        assert wait_for_datagram(client) == (b"ask and answer", SERVICE)


def test_a_pod_cannot_be_its_neighbour(node: PodNode) -> None:
    with node.other.space.udp() as receiver:
        node.one.space.send("10.244.7.7", node.other.address, b"spoofed")
        node.one.space.send(node.one.address, node.other.address, b"honest")
        assert wait_for_datagram(receiver) == (b"honest", node.one.address)
        assert received(receiver) == []
    assert node.space.counted("spoofed") == 1


def test_a_host_port_is_open_and_what_it_leads_to_is_not(node: PodNode) -> None:
    with node.outside.udp() as client, node.one.space.udp() as server:
        client.sendto(b"ask", (NODE, HOST_PORT))
        assert wait_for_datagram(server) == (b"ask", OUTSIDE)
        server.sendto(b"answer", (OUTSIDE, PORT))
        assert wait_for_datagram(client) == (b"answer", NODE)


def test_a_pod_reaches_the_outside_with_the_address_of_the_node(node: PodNode) -> None:
    with node.outside.udp() as outside, node.one.space.udp() as inside:
        inside.sendto(b"out", (OUTSIDE, PORT))
        assert wait_for_datagram(outside) == (b"out", NODE)
