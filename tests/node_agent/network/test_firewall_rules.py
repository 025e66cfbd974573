# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the rules stop and what they let pass: real packets, real kernel."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import suppress
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

import pytest

from node_agent.errors import PermanentError
from node_agent.network.firewall import Firewall, rules
from node_agent.network.nftables import Rules
from tests.node_agent.network.topology import (
    NODE,
    NODE6,
    NODE_MESH,
    NODE_PORT,
    OUTSIDE,
    OWN_PODS,
    PEER_MESH,
    PEER_POD,
    POD,
    POD6,
    PODS,
    PORT,
    SERVICE,
    received,
    wait_for_datagram,
)

if TYPE_CHECKING:
    from tests.node_agent.network.topology import Namespace, Topology

SERVICES: Final = IPv4Network("10.96.0.0/12")
FIREWALL: Final = Firewall(services=SERVICES, pods=PODS, own_pods=OWN_PODS, tcp_ports=(6443,))
KUBE_PROXY: Final = f"""
table ip kube-proxy {{
    chain redirected {{
        type nat hook prerouting priority dstnat;
        udp dport {NODE_PORT} dnat to {POD}:{PORT}
        udp dport {NODE_PORT + 1} dnat to {NODE_MESH}:{PORT}
        ip daddr {SERVICE} dnat to {POD}
    }}
}}
"""


@pytest.fixture
def node(topology: Topology) -> Namespace:
    """The node, with its rules and what kube-proxy adds."""
    topology.node.run("nft", "-f", "-", text=rules(FIREWALL))
    topology.node.run("nft", "-f", "-", text=KUBE_PROXY)
    return topology.node


def connect(client: Namespace, server: Namespace, address: str, port: int) -> None:
    """Connect to a server."""
    with server.listener(address, port), client.entered():
        socket.create_connection((address, port), timeout=10).close()


def is_refused(topology: Topology, address: str, port: int) -> bool:
    """Try to connect from outside to a server of the node, until the packet was dropped."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with topology.node.listener(address, port), topology.outside.entered(), socket.socket(family) as connection:
        connection.setblocking(False)
        before = topology.node.counted("refused")
        connection.connect_ex((address, port))
        topology.wait_until_dropped("refused", more_than=before)
        with suppress(OSError):
            connection.getpeername()
            return False
        return True


@pytest.mark.parametrize(
    "source, destination",
    [
        pytest.param(OUTSIDE, POD, id="to a pod"),
        pytest.param(PEER_POD, POD, id="as a pod, to a pod"),
        pytest.param(PEER_MESH, POD, id="as a node, to a pod"),
        pytest.param(OUTSIDE, PEER_POD, id="to a pod of another node, through this one"),
        pytest.param(OUTSIDE, SERVICE, id="to a Service"),
        pytest.param(OUTSIDE, NODE_MESH, id="to the mesh address"),
        pytest.param(PEER_MESH, NODE, id="as a node"),
        pytest.param(PEER_POD, NODE, id="as a pod"),
        pytest.param(SERVICE, NODE, id="as a Service"),
    ],
)
def test_forged_packets_from_outside_are_dropped(
    topology: Topology, node: Namespace, source: str, destination: str
) -> None:
    with node.udp() as at_node, topology.pod.udp() as at_pod, topology.peer.udp() as at_peer:
        topology.outside.send(source, destination, b"forged")
        topology.wait_until_dropped("forged")
        assert received(at_node) + received(at_pod) + received(at_peer) == []
    assert node.counted("forged") == 1


def test_a_forged_packet_is_dropped_on_an_interface_that_nobody_knows(topology: Topology, node: Namespace) -> None:
    node.ip("link set eth0 down")
    node.ip("link set eth0 name other7")
    node.ip("link set other7 up")
    topology.outside.send(OUTSIDE, POD, b"forged")
    topology.wait_until_dropped("forged")


@pytest.mark.parametrize("source", [PEER_POD, PEER_MESH, OUTSIDE, "10.244.9.9"])
def test_a_pod_cannot_be_another(topology: Topology, node: Namespace, source: str) -> None:
    with topology.peer.udp() as at_peer:
        topology.pod.send(source, PEER_POD, b"spoofed")
        topology.wait_until_dropped("spoofed")
        assert received(at_peer) == []
    assert node.counted("spoofed") == 1


@pytest.mark.usefixtures("node")
def test_pods_speak_through_the_mesh_in_both_directions(topology: Topology) -> None:
    with topology.pod.udp() as at_pod, topology.peer.udp() as at_peer:
        topology.pod.send(POD, PEER_POD, b"there")
        assert wait_for_datagram(at_peer) == (b"there", POD)
        topology.peer.send(PEER_POD, POD, b"back")
        assert wait_for_datagram(at_pod) == (b"back", PEER_POD)


@pytest.mark.usefixtures("node")
def test_a_node_port_works_from_outside(topology: Topology) -> None:
    with topology.pod.udp() as at_pod, topology.outside.udp() as at_outside:
        at_outside.sendto(b"ask", (NODE, NODE_PORT))
        assert wait_for_datagram(at_pod) == (b"ask", OUTSIDE)
        at_pod.sendto(b"answer", (OUTSIDE, PORT))
        assert wait_for_datagram(at_outside) == (b"answer", NODE)


def test_a_node_port_of_a_pod_with_the_network_of_the_node_works(topology: Topology, node: Namespace) -> None:
    with node.udp(NODE_MESH) as at_node, topology.outside.udp() as at_outside:
        at_outside.sendto(b"ask", (NODE, NODE_PORT + 1))
        assert wait_for_datagram(at_node) == (b"ask", OUTSIDE)
        at_node.sendto(b"answer", (OUTSIDE, PORT))
        assert wait_for_datagram(at_outside) == (b"answer", NODE)


@pytest.mark.usefixtures("node")
def test_a_service_works_from_a_peer(topology: Topology) -> None:
    with topology.pod.udp() as at_pod:
        topology.peer.send(PEER_POD, SERVICE, b"ask")
        assert wait_for_datagram(at_pod) == (b"ask", PEER_POD)


@pytest.mark.usefixtures("node")
def test_what_a_pod_sends_outside_comes_from_the_node(topology: Topology) -> None:
    with topology.outside.udp() as at_outside, topology.pod.udp() as at_pod:
        at_pod.sendto(b"out", (OUTSIDE, PORT))
        assert wait_for_datagram(at_outside) == (b"out", NODE)
        at_outside.sendto(b"back", (NODE, PORT))
        assert wait_for_datagram(at_pod) == (b"back", OUTSIDE)


@pytest.mark.parametrize("destination", [PEER_POD, PEER_MESH, SERVICE])
def test_nothing_leaves_in_clear_when_the_mesh_is_gone(topology: Topology, node: Namespace, destination: str) -> None:
    node.run("nft", "delete", "table", "ip", "kube-proxy")
    node.ip("link del constellation0")  # and with it all routes into it
    with topology.outside.wire("eth0") as wire:
        topology.pod.send(POD, destination, b"a secret of a pod")
        topology.wait_until_dropped("leaked")
        with topology.outside.udp() as at_outside, topology.pod.udp() as at_pod:
            at_pod.sendto(b"marker", (OUTSIDE, PORT))
            wait_for_datagram(at_outside)
        frames = received(wire)
    assert any(b"marker" in frame for frame in frames)
    assert not any(b"a secret" in frame for frame in frames)


@pytest.mark.parametrize("destination", [PEER_POD, PEER_MESH, SERVICE])
def test_nothing_of_the_node_itself_leaves_in_clear(topology: Topology, node: Namespace, destination: str) -> None:
    node.ip("link del constellation0")
    with node.udp() as sender, topology.outside.wire("eth0") as wire:
        with pytest.raises(PermissionError):
            sender.sendto(b"a secret of the node", (destination, PORT))
        sender.sendto(b"marker", (OUTSIDE, PORT))
        with topology.outside.udp(port=PORT + 1) as at_outside:
            sender.sendto(b"end", (OUTSIDE, PORT + 1))
            wait_for_datagram(at_outside)
        assert not any(b"a secret" in frame for frame in received(wire))
    assert node.counted("leaked") == 1


def test_a_pod_that_is_not_translated_does_not_leave(topology: Topology, node: Namespace) -> None:
    node.run("nft", "flush", "chain", "inet", "constellation", "translated")
    topology.pod.send(POD, OUTSIDE, b"plain")
    topology.wait_until_dropped("leaked")


def test_a_peer_does_not_use_the_node_as_its_way_outside(topology: Topology, node: Namespace) -> None:
    topology.peer.send(PEER_POD, OUTSIDE, b"relayed")
    topology.wait_until_dropped("refused")
    assert node.counted("refused") == 1


def test_pods_do_not_reach_the_metadata_of_a_cloud(topology: Topology, node: Namespace) -> None:
    node.ip("route add 169.254.169.254/32 via 192.0.2.2")
    topology.pod.send(POD, "169.254.169.254", b"who am I")
    topology.wait_until_dropped("refused")


def test_open_ports_are_open_and_others_are_not(topology: Topology, node: Namespace) -> None:
    connect(topology.outside, node, NODE, 6443)
    assert is_refused(topology, NODE, 10250)
    assert is_refused(topology, NODE, 2379)


def test_peers_and_pods_reach_every_port(topology: Topology, node: Namespace) -> None:
    connect(topology.peer, node, NODE_MESH, 10250)
    connect(topology.pod, node, "10.244.1.1", 10250)


def test_the_node_itself_reaches_the_outside(topology: Topology, node: Namespace) -> None:
    connect(node, topology.outside, OUTSIDE, 443)


def test_ipv6_finds_its_neighbour_and_open_ports_only(topology: Topology, node: Namespace) -> None:
    connect(topology.outside, node, NODE6, 6443)
    assert is_refused(topology, NODE6, 10250)


def test_ipv6_is_not_forwarded(topology: Topology, node: Namespace) -> None:
    with topology.pod.udp(POD6) as at_pod, topology.outside.udp("::") as sender:
        sender.sendto(b"forged", (POD6, PORT))
        topology.wait_until_dropped("refused")
        assert received(at_pod) == []
    with topology.outside.udp("::") as at_outside, topology.pod.udp(POD6, PORT + 1) as sender:
        sender.sendto(b"leak", ("fd00:1::2", PORT))
        sender.sendto(b"leak", ("fd00:1::2", PORT))
        assert received(at_outside) == []
    assert node.counted("refused") >= 2


def test_the_mesh_port_is_open(topology: Topology, node: Namespace) -> None:
    with node.udp(port=51820) as at_node:
        topology.outside.send(OUTSIDE, NODE, b"handshake", port=51820)
        assert wait_for_datagram(at_node) == (b"handshake", OUTSIDE)


def test_a_machine_without_a_cluster_is_closed_too(topology: Topology) -> None:
    topology.node.run("nft", "-f", "-", text=rules(Firewall(tcp_ports=(9000,))))
    connect(topology.outside, topology.node, NODE, 9000)
    assert is_refused(topology, NODE, 6443)
    topology.outside.send(PEER_MESH, NODE, b"forged")
    topology.wait_until_dropped("forged")
    topology.pod.send(POD, OUTSIDE, b"no pod can be here yet")
    topology.wait_until_dropped("spoofed")


def test_rules_stay_when_the_program_ends(topology: Topology) -> None:
    program = (
        "import asyncio, os\n"
        "from node_agent.network.firewall import Firewall\n"
        "from node_agent.network.nftables import Rules\n"
        "asyncio.run(Rules().load(Firewall()))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    with pytest.raises(subprocess.CalledProcessError):
        topology.node.run(sys.executable, "-c", program)
    topology.outside.send(PEER_MESH, NODE, b"forged")
    topology.wait_until_dropped("forged")


async def test_a_second_load_lets_nothing_through_in_between(topology: Topology, node: Namespace) -> None:
    with topology.pod.udp() as at_pod, node.entered():
        kept = Rules()
        for _ in range(5):
            loading = asyncio.create_task(kept.load(FIREWALL))
            while not loading.done():
                await asyncio.to_thread(topology.outside.send, OUTSIDE, POD, b"forged")
        assert received(at_pod) == []


async def test_rules_are_put_right(topology: Topology) -> None:
    with topology.node.entered():
        kept = Rules()
        await kept.load(FIREWALL)
        topology.node.run("nft", "flush", "chain", "inet", "constellation", "leaving")
        await kept.repair()
        assert topology.node.run("nft", "list", "chain", "inet", "constellation", "leaving").count("drop") == 2


async def test_rules_that_are_right_are_left_alone(topology: Topology) -> None:
    with topology.node.entered():
        kept = Rules()
        await kept.load(FIREWALL)
        topology.outside.send(OUTSIDE, POD, b"forged")
        topology.wait_until_dropped("forged")
        await kept.repair()
    assert topology.node.counted("forged") == 1


async def test_what_the_kernel_does_not_take_changes_nothing(
    topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    with topology.node.entered():
        kept = Rules()
        await kept.load(FIREWALL)
        monkeypatch.setattr("node_agent.network.nftables.rules", lambda _firewall: "delete table inet other\n")
        with pytest.raises(PermanentError, match="nft"):
            await kept.load(FIREWALL)
    topology.outside.send(OUTSIDE, POD, b"forged")
    topology.wait_until_dropped("forged")
