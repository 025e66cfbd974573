# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where a peer is reached, out of the addresses that it announced; and what fits through on the way."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

    Address = IPv4Address | IPv6Address
    Interface = IPv4Interface | IPv6Interface
    Network = IPv4Network | IPv6Network

RESOLVING: Final = 5.0  # seconds for one name
OVERHEAD: Final = {4: 60, 6: 80}
"""Bytes that WireGuard adds: the outer IP header, 8 for UDP, 32 of its own. https://www.wireguard.com/protocol/"""
USUAL_PATH: Final = 1500  # bytes, of Ethernet
LEAST_MTU: Final = 1280  # bytes; on a narrower path the outer packets are fragmented


def choose(addresses: Sequence[Address], own: Collection[Interface], closed: Collection[Network]) -> Address | None:
    """Choose one address of a peer.

    Args:
        addresses: that it announced.
        own: addresses of this node, with their networks.
        closed: networks of the cluster: a tunnel through itself would not lead anywhere.

    Returns:
        The first address in a network that this node is in, or else the first one; None where none is usable.
    """
    usable = [
        address
        for address in addresses
        if not (address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local)
        and not any(address in network for network in closed)
        and not any(address == ours.ip for ours in own)  # all guests of an emulator have the same one
    ]
    near = (address for address in usable if any(address in ours.network for ours in own))
    return next(near, usable[0] if usable else None)


def mtu(paths: Iterable[tuple[Address, int]]) -> int:
    """Compute the MTU of the mesh: what every path can carry.

    Args:
        paths: address of a peer, and bytes that the way there carries.
    """
    sizes = [size - OVERHEAD[address.version] for address, size in paths]
    return max(min(sizes, default=USUAL_PATH - OVERHEAD[4]), LEAST_MTU)


async def resolve(names: Iterable[str]) -> list[Address]:
    """Turn addresses and names into addresses, in their order. A name that nobody knows now is left out."""
    found: list[Address] = []
    for name in names:
        try:
            found.append(ip_address(name))
        except ValueError:
            found += await _look_up(name)
    return found


async def _look_up(name: str) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVING):
            answers = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, TimeoutError):
        return []
    return [ip_address(str(answer[4][0])) for answer in answers]
