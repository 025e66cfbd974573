# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""IP addresses of this machine: those that metadata wants beside DHCP's, and those that it has."""

from __future__ import annotations

import fcntl
import importlib
import socket
import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Final

from node_agent.errors import TemporaryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node_agent.metadata.record import NetworkCard

_SIOCGIFADDR: Final = 0x8915  # netdevice(7)
_NAME_SIZE: Final = 15
_REQUEST_SIZE: Final = 40  # bytes of struct ifreq
_ADDRESS: Final = slice(20, 24)  # in its answer


def own_addresses() -> dict[str, str]:
    """Give the first IPv4 address of each interface that has one, without loopback."""
    found: dict[str, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack(f"{_REQUEST_SIZE}s", name.encode()[:_NAME_SIZE])
            try:
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, request)
            except OSError:  # it has none
                continue
            address = IPv4Address(answer[_ADDRESS])
            if not address.is_loopback:
                found[name] = str(address)
    return found


def add_addresses(cards: Sequence[NetworkCard]) -> None:
    """Give interfaces the addresses that metadata wants; what is there already stays.

    Raises:
        TemporaryError: an interface is not there yet, or refuses an address.
    """
    pyroute2: Any = importlib.import_module("pyroute2")  # ten seconds of an emulated machine, and many need none of it
    with pyroute2.IPRoute() as netlink:
        links = {link.get("address"): link["index"] for link in netlink.get_links()}
        if missing := [card.mac for card in cards if card.mac not in links]:
            raise TemporaryError(f"no interface has the MAC address {', '.join(missing)}", hint="compare the metadata")
        try:
            for card in cards:
                for wanted in card.addresses:
                    netlink.addr(
                        "replace", index=links[card.mac], address=str(wanted.ip), prefixlen=wanted.network.prefixlen
                    )
                netlink.link("set", index=links[card.mac], state="up")
        except pyroute2.NetlinkError as error:
            raise TemporaryError(f"an interface refuses an address: {error}") from None
