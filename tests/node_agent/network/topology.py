# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Network namespaces with a node in the middle, and packets of any origin. Nothing leaves this machine.

    outside 192.0.2.2 ── eth0 node cni0 ── pod 10.244.1.2
                              └ constellation0 ── peer 10.213.1.2, its pod 10.244.2.2

On a kernel without WireGuard a pair of Ethernet interfaces stands in for the tunnel: rules know it by its name alone.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import socket
import struct
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from constellation_core.conditions import Condition, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

MESH: Final = IPv4Network("10.213.0.0/16")
PODS: Final = IPv4Network("10.244.0.0/16")
OWN_PODS: Final = IPv4Network("10.244.1.0/24")
SERVICE: Final = "10.96.0.10"
NODE_PORT: Final = 30090
OUTSIDE: Final = "192.0.2.2"
NODE: Final = "192.0.2.1"
NODE_MESH: Final = "10.213.1.1"
PEER_MESH: Final = "10.213.1.2"
POD: Final = "10.244.1.2"
PEER_POD: Final = "10.244.2.2"
PORT: Final = 7777
TIMEOUT: Final = 40.0  # seconds; an emulated machine takes its time
NODE6: Final = "fd00:1::1"
POD6: Final = "fd00:2::2"

_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_ALL_PROTOCOLS: Final = 0x0003


class Namespace:
    """A network namespace. Sockets belong to the namespace where they were made."""

    def __init__(self, name: str) -> None:
        self.name = f"{name}-{os.getpid()}-{secrets.token_hex(2)}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.ip("link set lo up")

    def close(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def run(self, *command: str, text: str = "") -> str:
        with self.entered():
            done = subprocess.run(command, input=text, check=True, text=True, stdout=subprocess.PIPE)
        return done.stdout

    def ip(self, *commands: str) -> None:
        self.run("ip", "-batch", "-", text="\n".join(commands))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in it, with this thread."""
        with Path("/proc/thread-self/ns/net").open() as before, Path(f"/run/netns/{self.name}").open() as inside:
            _enter(inside.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def udp(self, address: str = "0.0.0.0", port: int = PORT) -> socket.socket:
        """Give a socket that receives; without waiting."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.entered():
            receiver = socket.socket(family, socket.SOCK_DGRAM)
        receiver.setblocking(False)
        receiver.bind((address, port))
        return receiver

    def listener(self, address: str, port: int) -> socket.socket:
        with self.entered():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return socket.create_server((address, port), family=family)

    def send(self, source: str, destination: str, payload: bytes, port: int = PORT) -> None:
        """Send a packet of UDP over IPv4 that names any source."""
        with self.entered(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(packet(source, destination, port, payload), (destination, 0))

    @contextmanager
    def wire(self, interface: str) -> Iterator[socket.socket]:
        """Give a socket that sees every frame on an interface; without waiting."""
        with (
            self.entered(),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS)) as listening,
        ):
            listening.bind((interface, 0))
            listening.setblocking(False)
            yield listening

    def counted(self, name: str) -> int:
        """Count the packets that a rule dropped."""
        listing: dict[str, Any] = json.loads(
            self.run("nft", "-j", "list", "counters", "table", "inet", "constellation")
        )
        found = (entry["counter"] for entry in listing["nftables"] if "counter" in entry)
        return sum(counter["packets"] for counter in found if counter["name"] == name)


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def packet(source: str, destination: str, port: int, payload: bytes) -> bytes:
    """Make a packet; the kernel fills in length and checksum (raw(7))."""
    udp = struct.pack(">HHHH", PORT, port, 8 + len(payload), 0) + payload
    addresses = IPv4Address(source).packed + IPv4Address(destination).packed
    return struct.pack(">BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses + udp


@dataclass(frozen=True, slots=True)
class Topology:
    """A node, and what is around it."""

    node: Namespace
    outside: Namespace
    peer: Namespace
    pod: Namespace

    def wait_until_dropped(self, counter: str, *, more_than: int = 0) -> None:
        """Wait until the node's rules have dropped packets."""

        def check() -> str | None:
            return None if self.node.counted(counter) > more_than else "nothing yet"

        wait_for([Condition(f"a packet was {counter}", check)], timeout=TIMEOUT)


def require_namespaces() -> None:
    """Skip where this machine does not let us make network namespaces with rules of their own."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    missing = [program for program in ("ip", "nft", "sysctl") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: iproute2, nftables, procps)")


def received(receiver: socket.socket) -> list[bytes]:
    """Give what came until now."""
    found = []
    while True:
        try:
            found.append(receiver.recv(65536))
        except BlockingIOError:
            return found


def wait_for_datagram(receiver: socket.socket) -> tuple[bytes, str]:
    """Give what comes next, and from which address."""
    receiver.settimeout(TIMEOUT)
    data, (address, *_) = receiver.recvfrom(65536)
    receiver.setblocking(False)
    return data, address


@contextmanager
def around_a_node() -> Iterator[Topology]:
    """Make it all."""
    with ExitStack() as resources:
        names = ("node", "outside", "peer", "pod")
        node, outside, peer, pod = (resources.enter_context(_namespace(name)) for name in names)
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        link(node, "eth0", outside, "eth0")
        link(node, "constellation0", peer, "mesh0")
        link(node, "port0", pod, "eth0")
        node.ip(
            "link add cni0 type bridge",
            "link set port0 master cni0",
            "link set cni0 up",
            f"addr add {NODE}/24 dev eth0",
            f"addr add {NODE6}/64 dev eth0 nodad",
            f"route add default via {OUTSIDE}",
            f"addr add {NODE_MESH}/32 dev constellation0",
            f"route add {MESH} dev constellation0",
            f"route add {PODS} via {PEER_MESH} dev constellation0 onlink",
            "addr add 10.244.1.1/24 dev cni0",
            "addr add fd00:2::1/64 dev cni0 nodad",
        )
        outside.ip(
            f"addr add {OUTSIDE}/24 dev eth0",
            "addr add fd00:1::2/64 dev eth0 nodad",
            f"route add default via {NODE}",
            f"route add default via {NODE6}",
        )
        peer.ip(
            f"addr add {PEER_MESH}/32 dev mesh0",
            f"addr add {PEER_POD}/32 dev mesh0",
            f"route add {MESH} dev mesh0",
            f"route add default via {NODE_MESH} dev mesh0 onlink",
        )
        pod.ip(
            f"addr add {POD}/24 dev eth0",
            "route add default via 10.244.1.1",
            f"addr add {POD6}/64 dev eth0 nodad",
            "route add default via fd00:2::1",
        )
        yield Topology(node, outside, peer, pod)


def link(one: Namespace, interface: str, other: Namespace, its_interface: str) -> None:
    one.ip(f"link add {interface} type veth peer name {its_interface} netns {other.name}", f"link set {interface} up")
    other.ip(f"link set {its_interface} up")


@contextmanager
def _namespace(name: str) -> Iterator[Namespace]:
    namespace = Namespace(name)
    try:
        yield namespace
    finally:
        namespace.close()
