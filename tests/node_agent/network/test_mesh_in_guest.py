# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Two nodes, real WireGuard: what they say to one another, and what others see of it."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from constellation_core.conditions import Condition, wait_for
from constellation_core.keys.secret import Secret
from constellation_core.networks import API_ADDRESS, API_PORT
from constellation_core.roles import Role
from constellation_core.testing.watching import until
from node_agent.errors import PermanentError
from node_agent.network import Mesh, Peer, interface
from node_agent.network.api_servers import anybody
from node_agent.network.mesh import IDENTITIES, NODES
from node_agent.network.pod_network import FILE, FOLDER
from node_agent.network.reconciling import Changes, WantedPeer
from tests.node_agent.network.api_port import api_port
from tests.node_agent.network.fake_api_server import kubelet_of_fake_server
from tests.node_agent.network.topology import PODS, PORT, TIMEOUT, Namespace, link, received, wait_for_datagram

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.timeout(300)]

SECRET: Final = Secret(bytes(range(32)))
OTHER_SECRET: Final = Secret(bytes(32))
PLAIN: Final = b"a known text that nobody outside may see"

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Node:
    """A node with one pod."""

    number: int
    space: Namespace
    pod_space: Namespace
    mesh: Mesh
    key: X25519PrivateKey

    @property
    def outer(self) -> str:
        return f"192.0.2.{self.number}"

    @property
    def address(self) -> IPv4Address:
        return IPv4Address(f"10.213.1.{self.number}")

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network(f"10.244.{self.number}.0/24")

    @property
    def pod(self) -> str:
        return f"10.244.{self.number}.2"

    def peer(self) -> Peer:
        return Peer(
            name=f"node-{self.number}",
            public_key=self.key.public_key().public_bytes_raw(),
            mesh_address=self.address,
            endpoints=(self.outer,),
            pod_cidr=self.pods,
        )

    def metadata(self) -> dict[str, str]:
        return {"name": f"node-{self.number}", "creationTimestamp": "2026-01-01T00:00:00Z"}

    def spec(self) -> dict[str, object]:
        key = base64.b64encode(self.peer().public_key).decode()
        spec = {"wireguardPublicKey": key, "meshAddress": str(self.address), "addresses": [self.outer]}
        return {"role": "worker", **spec}

    def do(self, work: Callable[[], Coroutine[Any, Any, _Answer]]) -> _Answer:
        """Run something in the node's namespace."""
        with self.space.entered():
            return asyncio.run(work())

    def start(self, *peers: Node, secret: Secret = SECRET) -> None:
        async def work() -> None:
            await self.mesh.protect(PODS)
            await self.mesh.start(key=self.key, address=self.address, secret=secret)
            await self.mesh.set_peers([peer.peer() for peer in peers])

        self.do(work)

    def set_peers(self, *peers: Peer) -> None:
        self.do(lambda: self.mesh.set_peers(peers))

    def peers(self) -> list[Any]:
        return self.do(interface.read_peers)


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    subprocess.run(["modprobe", "--all", "wireguard", "br_netfilter"], check=True)
    with ExitStack() as resources:
        one, other = (resources.enter_context(node(number)) for number in (1, 2))
        link(one.space, "eth0", other.space, "eth0")
        for each in (one, other):
            each.space.ip(f"addr add {each.outer}/24 dev eth0")
        yield one, other


@contextmanager
def node(number: int) -> Iterator[Node]:
    space, pod = Namespace(f"node{number}"), Namespace(f"pod{number}")
    link(space, "port0", pod, "eth0")
    space.ip(
        "link add cni0 type bridge",
        "link set port0 master cni0",
        "link set cni0 up",
        f"addr add 10.244.{number}.1/24 dev cni0",
    )
    pod.ip(f"addr add 10.244.{number}.2/24 dev eth0", f"route add default via 10.244.{number}.1")
    with space.entered():
        made = Mesh(tcp_ports=(6443,))
    try:
        yield Node(number, space, pod, made, X25519PrivateKey.generate())
    finally:
        pod.close()
        space.close()


def delivers(source: Node, target: Node, payload: bytes = PLAIN) -> None:
    with target.pod_space.udp() as at_pod:
        source.pod_space.send(source.pod, target.pod, payload)
        assert wait_for_datagram(at_pod) == (payload, source.pod)


def frames(wire: socket.socket, *, least: int) -> list[bytes]:
    """Give what was on the wire, when there was enough of it."""
    found: list[bytes] = []

    def check() -> str | None:
        found.extend(received(wire))
        return None if len(found) >= least else f"{len(found)} frames"

    wait_for([Condition("there are frames on the wire", check)], timeout=TIMEOUT)
    return found


def is_wireguard(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == (51820).to_bytes(2, "big")


def is_neighbourhood(frame: bytes) -> bool:
    return frame[12:14] in {b"\x08\x06", b"\x86\xdd"}


def test_pods_speak_and_nobody_sees_what(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    with one.space.wire("eth0") as wire:
        one.start(other)
        other.start(one)
        delivers(one, other)
        delivers(other, one)
        seen = frames(wire, least=4)
    assert not any(PLAIN in frame for frame in seen)
    assert all(is_wireguard(frame) or is_neighbourhood(frame) for frame in seen)
    assert sum(is_wireguard(frame) for frame in seen) >= 4


def test_nodes_speak_by_their_mesh_addresses(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one)
    with other.space.udp() as receiver, one.space.udp() as sender:
        sender.sendto(PLAIN, (str(other.address), PORT))
        assert wait_for_datagram(receiver) == (PLAIN, str(one.address))


def test_another_secret_is_another_cluster(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one, secret=OTHER_SECRET)
    with one.space.wire("eth0") as wire, other.pod_space.udp() as at_pod:
        one.pod_space.send(one.pod, other.pod, PLAIN)
        initiations = [frame for frame in frames(wire, least=4) if is_wireguard(frame)]
        assert received(at_pod) == []
    assert not any(PLAIN in frame for frame in initiations)
    assert one.peers()[0].handshake is None


def test_a_node_that_is_no_peer_is_not_heard(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start()
    with one.space.wire("eth0") as wire, other.pod_space.udp() as at_pod:
        one.pod_space.send(one.pod, other.pod, PLAIN)
        assert any(is_wireguard(frame) for frame in frames(wire, least=3))
        assert received(at_pod) == []


def test_a_peer_that_left_is_not_spoken_to(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one)
    delivers(one, other)
    one.set_peers()
    with one.space.udp() as sender, pytest.raises(OSError, match="Required key not available"):
        sender.sendto(PLAIN, (other.pod, PORT))


def test_a_peer_does_not_speak_for_another(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one)
    with one.pod_space.udp() as at_pod:
        other.space.send("10.213.7.7", one.pod, b"forged")
        other.space.send("10.244.7.7", one.pod, b"forged")
        other.space.send(str(other.address), one.pod, b"honest")
        assert wait_for_datagram(at_pod) == (b"honest", str(other.address))
        assert received(at_pod) == []


def test_setting_the_same_peers_changes_nothing(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one)
    delivers(one, other)
    before = one.peers()
    one.start(other)
    assert one.peers() == before
    assert before[0].handshake is not None


def test_what_others_changed_is_put_right(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one)
    wanted = one.peers()
    stranger = WantedPeer(
        public_key=bytes([9] * 32),
        psk=SECRET,
        endpoint=None,
        allowed=frozenset({IPv4Network("10.213.9.9/32"), IPv4Network(other.pods)}),
    )
    one.do(lambda: interface.change_peers(Changes((), (stranger,))))
    one.space.ip("link set constellation0 mtu 1300")
    one.space.ip("addr add 10.213.66.6/32 dev constellation0")
    one.space.ip("route del 10.244.0.0/16")
    assert one.peers() != wanted
    one.start(other)
    assert one.peers() == wanted
    shown = one.space.run("ip", "address", "show", "constellation0")
    assert "mtu 1440" in shown
    assert "10.213.66.6" not in shown
    delivers(one, other)


def test_the_name_is_not_enough(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.space.ip("link add constellation0 type veth peer name other0")
    one.start(other)
    other.start(one)
    delivers(one, other)


def test_without_the_interface_nothing_leaves(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one)
    delivers(one, other)
    one.space.ip(f"route add default via {other.outer}")
    one.do(one.mesh.close)
    one.pod_space.send(one.pod, other.pod, PLAIN)

    def check() -> str | None:
        return None if one.space.counted("leaked") else "nothing dropped"

    wait_for([Condition("the packet was dropped", check)], timeout=TIMEOUT)
    assert "constellation0" not in one.space.run("ip", "link")


def test_nothing_leaves_in_clear_while_everything_changes(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one)
    one.space.ip(f"route add default via {other.outer}")  # a way out in clear
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            one.pod_space.send(one.pod, other.pod, PLAIN)

    sending = threading.Thread(target=send)
    with one.space.wire("eth0") as wire:
        sending.start()
        for _ in range(3):
            one.set_peers()
            one.do(one.mesh.close)
            one.start(other)
        stop.set()
        sending.join()
        seen = frames(wire, least=1)
    assert all(is_wireguard(frame) or is_neighbourhood(frame) for frame in seen)
    assert one.space.counted("leaked") > 0
    delivers(one, other)


def test_a_new_key_is_taken(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    other.start(one)
    delivers(one, other)
    renewed = Node(one.number, one.space, one.pod_space, one.mesh, X25519PrivateKey.generate())
    other.set_peers(renewed.peer())
    renewed.start(other)
    delivers(renewed, other)
    delivers(other, renewed)


def test_the_old_key_is_not_heard_any_more(nodes: tuple[Node, Node]) -> None:
    """Not by the session that it had, and not by a new one."""
    one, other = nodes
    one.start(other)
    other.start(one)
    delivers(one, other)
    renewed = Node(one.number, one.space, one.pod_space, one.mesh, X25519PrivateKey.generate())
    other.set_peers(renewed.peer())
    with other.pod_space.udp() as at_pod, one.space.wire("eth0") as wire:
        one.pod_space.send(one.pod, other.pod, PLAIN)
        one.do(one.mesh.close)
        one.start(other)
        one.pod_space.send(one.pod, other.pod, PLAIN)
        frames(wire, least=3)
        assert received(at_pod) == []
    assert [peer.handshake for peer in other.peers()] == [None]


def test_a_pod_network_moves_from_one_peer_to_another(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    first = Peer(
        name="node-7",
        public_key=bytes([7] * 32),
        mesh_address=IPv4Address("10.213.1.7"),
        endpoints=("192.0.2.7",),
        pod_cidr=other.pods,
    )
    one.start()
    one.set_peers(first)
    one.start(other)
    other.start(one)
    delivers(one, other)


def test_two_peers_with_one_address_are_refused(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    one.start(other)
    thief = Peer(name="thief", public_key=bytes([7] * 32), mesh_address=IPv4Address("10.213.1.7"), pod_cidr=other.pods)
    before = one.peers()
    with pytest.raises(PermanentError, match="two with the same"):
        one.set_peers(other.peer(), thief)
    assert one.peers() == before


def test_the_mesh_lives_on_when_the_agent_dies(nodes: tuple[Node, Node]) -> None:
    one, other = nodes
    child = os.fork()
    if not child:
        one.start(other)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    other.start(one)
    delivers(other, one)
    other.space.ip(f"route add {one.pod}/32 via {one.outer}")
    with one.pod_space.udp() as at_pod:
        other.space.run("nft", "delete", "table", "inet", "constellation")
        other.space.send(other.outer, one.pod, b"forged")

        def check() -> str | None:
            return None if one.space.counted("forged") else "nothing dropped"

        wait_for([Condition("the packet was dropped", check)], timeout=TIMEOUT)
        assert received(at_pod) == []


def test_the_cluster_is_followed(nodes: tuple[Node, Node], tmp_path: Path) -> None:
    one, other = nodes
    one.start()
    other.start(one)

    async def work() -> None:
        async with kubelet_of_fake_server(tmp_path) as kubelet:
            mesh = Mesh(certificate=kubelet.certificate)
            await mesh.protect(PODS)
            await mesh.start(key=one.key, address=one.address, secret=SECRET)
            learnt: list[Sequence[Peer]] = []
            following = asyncio.create_task(mesh.follow(kubelet.kubeconfig, learnt.append))
            for each in nodes:
                kubelet.server.put(NODES, {"metadata": each.metadata(), "spec": {"podCIDR": str(each.pods)}})
                kubelet.server.put(IDENTITIES, {"metadata": each.metadata(), "spec": each.spec()})
            await until(lambda: mesh.missing is None, timeout=TIMEOUT)
            await has_pods(other, other.pods)
            delivers(one, other)
            delivers(other, one)
            await until((FOLDER / FILE).exists, timeout=TIMEOUT)
            assert str(one.pods) in (FOLDER / FILE).read_text()
            assert f"ip saddr != {one.pods}" in one.space.run("nft", "list", "table", "inet", "constellation")

            kubelet.server.delete(IDENTITIES, "node-1")  # an answer without ourselves is not believed
            kubelet.server.delete(IDENTITIES, "node-2")
            doubt = "the mesh stays as it is: expected a NodeIdentity with our address"
            await until(lambda: doubt in (mesh.missing or ""), timeout=TIMEOUT)
            delivers(one, other)
            kubelet.server.put(IDENTITIES, {"metadata": one.metadata(), "spec": one.spec()})
            await has_pods(other, None)
            await until(lambda: learnt[-1] == (), timeout=TIMEOUT)
            assert (other.peer(),) in learnt
            await until(lambda: mesh.missing is None, timeout=TIMEOUT)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    one.do(work)


async def has_pods(peer: Node, pods: IPv4Network | None) -> None:
    """Wait until the kernel has a peer with these pods, or has it no more."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            found = [known for known in await interface.read_peers() if known.public_key == peer.peer().public_key]
            if (not found) if pods is None else any(pods in known.allowed for known in found):
                return
            await asyncio.sleep(0.01)


def test_the_api_is_reached_through_the_mesh_as_nodes_say(nodes: tuple[Node, Node]) -> None:
    """It is led to a control plane that serves, to nobody when there is none, and to whoever becomes one."""
    one, other = nodes
    one.start()
    other.start(one)

    async def answer() -> bytes:
        reader, writer = await asyncio.open_connection(str(API_ADDRESS), API_PORT, ssl=anybody())
        writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
        said = await reader.readline()
        writer.transport.abort()
        return said

    async def work() -> None:
        await one.mesh.lead_to_api(served_here=False)
        with pytest.raises(OSError, match=r".+"):
            await answer()
        watching = asyncio.create_task(one.mesh.watch_api())
        await one.mesh.set_peers([replace(other.peer(), role=Role.CONTROL_PLANE)])
        async with api_port(other.space.listener(str(other.address), API_PORT)) as server:
            await until(lambda: server.asked, timeout=TIMEOUT)
            assert b" 200 " in await answer()
            await one.mesh.set_peers([other.peer()])
            with pytest.raises(OSError, match=r".+"):
                await answer()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    one.do(work)


def test_many_peers_are_read_back(nodes: tuple[Node, Node]) -> None:
    """More than the kernel tells in one message."""
    one, _ = nodes
    many = [
        Peer(
            name=f"node-{number}",
            public_key=X25519PrivateKey.generate().public_key().public_bytes_raw(),
            mesh_address=IPv4Address("10.213.4.0") + number,
            endpoints=(f"192.0.2.{number}",),
            pod_cidr=IPv4Network(f"10.244.{number}.0/24"),
        )
        for number in range(10, 110)
    ]
    one.start()
    one.set_peers(*many)
    assert {peer.public_key for peer in one.peers()} == {peer.public_key for peer in many}
    assert all(peer.allowed and peer.psk is not None for peer in one.peers())
    before = one.peers()
    one.set_peers(*many)
    assert one.peers() == before
