# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the mesh does on any kernel: it refuses what cannot be, says what is missing, and stays closed."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from constellation_core.keys.secret import Secret
from node_agent.errors import PermanentError, TemporaryError
from node_agent.network import Mesh, Peer, interface
from tests.node_agent.network.topology import NODE, NODE_MESH, OUTSIDE, PEER_POD, POD, PODS, PORT, wait_for_datagram

if TYPE_CHECKING:
    from node_agent import parts
    from tests.node_agent.network.topology import Topology

SECRET: Final = Secret(bytes(32))
KEY: Final = X25519PrivateKey.from_private_bytes(bytes(32))


def test_it_is_what_the_state_machine_steers(tmp_path: Path) -> None:
    mesh: parts.Mesh = Mesh()
    assert len(mesh.load_or_make_key(tmp_path).private_bytes_raw()) == 32


async def test_an_address_outside_of_the_mesh_is_refused() -> None:
    with pytest.raises(PermanentError, match=r"expected one in 10\.213\.0\.0/16"):
        await Mesh().start(key=KEY, address=IPv4Address("192.0.2.1"), secret=SECRET)


async def test_nothing_is_done_before_the_start(tmp_path: Path) -> None:
    for work in (Mesh().set_peers([]), Mesh().follow(tmp_path / "kubelet.conf")):
        with pytest.raises(PermanentError, match="was not started"):
            await work


def test_what_is_not_followed_is_said() -> None:
    assert Mesh().missing == "the nodes of the cluster are not followed"
    assert Mesh().key_announced is None


async def test_networks_that_overlap_are_refused() -> None:
    with pytest.raises(PermanentError, match="expected ones apart"):
        await Mesh().protect(IPv4Network("10.213.0.0/17"))


async def test_without_wireguard_it_says_so_and_the_rules_are_there(topology: Topology) -> None:
    topology.node.ip("link del constellation0")
    with topology.node.entered():
        if _has_wireguard(topology):
            pytest.skip("this kernel has WireGuard")
        with pytest.raises(PermanentError, match="make the interface") as caught:
            await Mesh().start(key=KEY, address=IPv4Address(NODE_MESH), secret=SECRET)
    assert "module wireguard" in caught.value.hint
    topology.outside.send(OUTSIDE, NODE_MESH, b"forged")
    topology.wait_until_dropped("forged")


def _has_wireguard(topology: Topology) -> bool:
    try:
        topology.node.ip("link add probe0 type wireguard")
    except subprocess.CalledProcessError:
        return False
    return True


@pytest.mark.skipif(not Path("/proc/sys/net/bridge").exists(), reason="this kernel lacks the module br_netfilter")
async def test_protection_lets_the_kernel_forward(topology: Topology) -> None:
    topology.node.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    with topology.node.entered():
        await Mesh().protect(PODS)
    assert topology.node.run("sysctl", "-n", "net.ipv4.ip_forward") == "1\n"
    topology.outside.send(OUTSIDE, POD, b"forged")
    topology.wait_until_dropped("forged")


@pytest.mark.skipif(not Path("/proc/sys/net/bridge").exists(), reason="this kernel lacks the module br_netfilter")
async def test_a_program_that_starts_again_does_not_cut_pods_off(topology: Topology) -> None:
    with topology.node.entered():
        await Mesh().protect(PODS)
        await Mesh().protect(None)
    with topology.pod.udp() as at_pod, topology.peer.udp() as at_peer:
        at_pod.sendto(b"there", (PEER_POD, PORT))
        assert wait_for_datagram(at_peer) == (b"there", POD)


async def test_own_networks_and_ways_are_read(topology: Topology) -> None:
    topology.node.ip("link set eth0 mtu 1400")
    with topology.node.entered():
        own = await interface.own_addresses()
        assert ip_interface(f"{NODE}/24") in own
        assert ip_interface("10.244.1.1/24") not in own
        ways = [ip_address(OUTSIDE), ip_address("203.0.113.1")]
        assert await interface.path_mtus(ways) == [(way, 1400) for way in ways]
        topology.node.ip("route del default")
        assert await interface.path_mtus(ways) == [(ways[0], 1400)]


async def test_a_way_may_be_narrower_than_its_interface(topology: Topology) -> None:
    topology.node.ip(f"route add 203.0.113.0/24 via {OUTSIDE} src {NODE} mtu 1300")
    with topology.node.entered():
        way = ip_address("203.0.113.1")
        assert await interface.path_mtus([way]) == [(way, 1300)]


async def test_peers_of_no_interface_are_an_error(topology: Topology) -> None:
    topology.node.ip("link del constellation0")
    with topology.node.entered(), pytest.raises((PermanentError, TemporaryError), match="read the peers"):
        await interface.read_peers()


async def test_closing_twice_is_no_error(topology: Topology) -> None:
    with topology.node.entered():
        await Mesh().close()
        await Mesh().close()
    assert "constellation0" not in topology.node.run("ip", "link")


def test_the_netlink_library_is_not_imported_as_a_whole() -> None:
    program = (
        "import asyncio, sys\n"
        "from node_agent.network import Mesh, interface\n"
        "assert not any(name.startswith('pyroute2') for name in sys.modules)\n"
        "asyncio.run(interface.own_addresses())\n"
        "assert 'pyroute2.ndb' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


def test_a_peer_does_not_show_its_key() -> None:
    peer = Peer(name="node-1", public_key=b"k" * 32, mesh_address=IPv4Address("10.213.1.1"))
    assert "kkkk" not in repr(peer)
