# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of the mesh in the kernel, by netlink (https://docs.kernel.org/userspace-api/netlink/).

Every function looks first and changes what differs: to call one again changes nothing, and repairs what others did.
"""

from __future__ import annotations

import base64
import errno
import logging
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any, Final

from constellation_core.keys.secret import Secret
from node_agent.errors import PermanentError, TemporaryError
from node_agent.network.names import INSIDE, MESH_INTERFACE, MESH_PORT
from node_agent.network.netlink import netlink_error, route_socket, wireguard_socket
from node_agent.network.reconciling import Endpoint, FoundPeer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from node_agent.network.endpoints import Address
    from node_agent.network.reconciling import Changes, WantedPeer

_KIND: Final = "wireguard"

_LOG: Final = logging.getLogger(__name__)


async def make_interface(key: X25519PrivateKey, address: IPv4Address, networks: Sequence[IPv4Network]) -> None:
    """Make the interface, or make it right.

    1. Its key is there before it is up.
    2. Its only address is the node's.
    3. All addresses of the cluster lead into it, also those that nobody has: WireGuard refuses what is for no peer, and
       nothing takes the default route.

    Args:
        key: of this node.
        address: of this node in the mesh.
        networks: of the cluster.

    Raises:
        PermanentError: the kernel has no WireGuard.
        TemporaryError: the kernel refuses something else.
    """
    with _asking("make the interface of the mesh"):
        async with route_socket() as netlink:
            index = await _link(netlink)
            await _set_key(key)  # 1
            await netlink.link("set", index=index, state="up")
            await _set_address(netlink, index, address)  # 2
            for network in networks:  # 3
                await netlink.route("replace", dst=str(network), oif=index, prefsrc=str(address))


async def remove_interface() -> None:
    """Remove the interface, and with it its keys and routes; nothing where there is none.

    Raises:
        TemporaryError: the kernel refuses.
    """
    with _asking("remove the interface of the mesh"):
        async with route_socket() as netlink:
            for index in await netlink.link_lookup(ifname=MESH_INTERFACE):
                await netlink.link("del", index=index)


async def set_mtu(mtu: int) -> None:
    """Set the MTU of the interface.

    Raises:
        TemporaryError: the kernel refuses.
    """
    with _asking("set the MTU of the mesh"):
        async with route_socket() as netlink:
            (link,) = await netlink.link("get", ifname=MESH_INTERFACE)
            if link.get("mtu") != mtu:
                await netlink.link("set", index=link["index"], mtu=mtu)


async def own_addresses() -> list[IPv4Interface | IPv6Interface]:
    """Give the addresses of the interfaces that lead outside, each with its network.

    Raises:
        TemporaryError: the kernel refuses.
    """
    with _asking("read the addresses of this node"):
        async with route_socket() as netlink:
            names = {link["index"]: link.get("ifname") async for link in await netlink.link("dump")}
            return [
                ip_interface(f"{found.get('address')}/{found['prefixlen']}")
                async for found in await netlink.addr("dump")
                if names.get(found["index"]) not in INSIDE
            ]


async def path_mtus(addresses: Iterable[Address]) -> list[tuple[Address, int]]:
    """Give the bytes that the way to each address carries; those where no way leads are left out.

    Raises:
        TemporaryError: the kernel refuses.
    """
    with _asking("find the ways to peers"):
        async with route_socket() as netlink:
            links = {link["index"]: link.get("mtu") async for link in await netlink.link("dump")}
            found = []
            for address in addresses:
                try:
                    (route,) = await netlink.route("get", dst=str(address))
                except netlink_error() as error:
                    if error.code not in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
                        raise
                else:
                    found.append((address, int(route.get(("metrics", "mtu")) or links[route.get("oif")])))
            return found


async def read_peers() -> list[FoundPeer]:
    """Give the peers that the kernel has.

    Raises:
        TemporaryError: the kernel refuses, or there is no interface.
    """
    with _asking("read the peers of the mesh"):
        found: dict[bytes, FoundPeer] = {}
        for record in await _device():
            for attributes in record.get("peers") or ():
                peer = _found(attributes)
                before = found.get(peer.public_key)  # a long list of addresses comes in parts
                found[peer.public_key] = peer if before is None else _joined(before, peer)
        return list(found.values())


async def change_peers(wanted: Changes) -> None:
    """Change the peers. One message makes a peer whole: it is never there without its preshared key.

    Raises:
        TemporaryError: the kernel refuses.
    """
    with _asking("change the peers of the mesh"):
        async with wireguard_socket() as netlink:
            for key in wanted.removed:
                await netlink.set(MESH_INTERFACE, peer={"public_key": base64.b64encode(key), "remove": True})
            for peer in wanted.written:
                await netlink.set(MESH_INTERFACE, peer=_record(peer))


async def _link(netlink: Any) -> int:  # noqa: ANN401 - pyroute2 has no types
    for index in await netlink.link_lookup(ifname=MESH_INTERFACE):
        (link,) = await netlink.link("get", index=index)
        if link.get(("linkinfo", "kind")) == _KIND:
            return int(index)
        # The rules trust this name: what has it must be the tunnel.
        _LOG.error("%s is no WireGuard interface: it is replaced", MESH_INTERFACE)
        await netlink.link("del", index=index)
    await netlink.link("add", ifname=MESH_INTERFACE, kind=_KIND)
    (index,) = await netlink.link_lookup(ifname=MESH_INTERFACE)
    return int(index)


async def _set_key(key: X25519PrivateKey) -> None:

    (found, *_) = await _device()
    public = base64.b64encode(key.public_key().public_bytes_raw())
    if (found.get("public_key"), found.get("listen_port")) != (public, MESH_PORT):
        async with wireguard_socket() as netlink:
            private = base64.b64encode(key.private_bytes_raw())
            await netlink.set(MESH_INTERFACE, private_key=private, listen_port=MESH_PORT)


async def _set_address(netlink: Any, index: int, address: IPv4Address) -> None:  # noqa: ANN401
    wanted = (str(address), address.max_prefixlen)
    there = [(found.get("address"), found["prefixlen"]) async for found in await netlink.addr("dump", index=index)]
    for other, length in there:
        if (other, length) != wanted:
            await netlink.addr("del", index=index, address=other, prefixlen=length)
    if wanted not in there:
        await netlink.addr("add", index=index, address=str(address), prefixlen=address.max_prefixlen)


async def _device() -> list[Any]:

    async with wireguard_socket() as netlink:
        return [record async for record in await netlink.info(MESH_INTERFACE)]


def _found(attributes: Any) -> FoundPeer:  # noqa: ANN401
    psk = base64.b64decode(attributes.get("preshared_key") or b"")  # the later parts of a long peer lack it
    endpoint, handshake = attributes.get("endpoint"), attributes.get("last_handshake_time")
    seconds = handshake["tv_sec"] if handshake else 0
    return FoundPeer(
        public_key=base64.b64decode(attributes.get("public_key")),
        psk=Secret(psk) if any(psk) else None,
        endpoint=Endpoint(ip_address(endpoint["addr"]), endpoint["port"]) if endpoint else None,
        allowed=frozenset(ip_network(allowed["addr"]) for allowed in attributes.get("allowedips") or ()),
        keepalive=attributes.get("persistent_keepalive_interval") or 0,
        handshake=datetime.fromtimestamp(seconds, UTC) if seconds else None,
    )


def _joined(first: FoundPeer, more: FoundPeer) -> FoundPeer:
    return FoundPeer(
        public_key=first.public_key,
        psk=first.psk,
        endpoint=first.endpoint,
        allowed=first.allowed | more.allowed,
        keepalive=first.keepalive,
        handshake=first.handshake,
    )


def _record(peer: WantedPeer) -> dict[str, object]:
    record: dict[str, object] = {
        "public_key": base64.b64encode(peer.public_key),
        "preshared_key": base64.b64encode(peer.psk.reveal()),
        "persistent_keepalive": 0,
        "replace_allowed_ips": True,
        "allowed_ips": [str(network) for network in sorted(peer.allowed)],
    }
    if peer.endpoint is not None:
        record |= {"endpoint_addr": str(peer.endpoint.address), "endpoint_port": peer.endpoint.port}
    return record


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except netlink_error() as error:
        if error.code in {errno.EOPNOTSUPP, errno.ENOENT}:
            raise PermanentError(
                f"cannot {what}: {error}", hint="does the kernel of this image have the module wireguard?"
            ) from None
        raise TemporaryError(f"cannot {what}: {error}", delay=1.0) from None
    except OSError as error:
        raise TemporaryError(f"cannot {what}: {error.strerror}", delay=1.0) from None
