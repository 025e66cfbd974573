# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""IP addresses of this machine: those that metadata wants, which systemd-networkd sets, and those that it has.

An interface that metadata names gets the addresses that it says and no others (systemd.network(5)); the rest is DHCP's.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from node_agent.errors import TemporaryError
from node_agent.files import write_public

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from node_agent.metadata.record import NetworkCard

RELOAD: Final = ("networkctl", "reload")
_SECONDS: Final = 30.0
_FILE: Final = "10-constellation-{}.network"  # before those of the image, which begin with greater numbers

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


async def set_addresses(cards: Sequence[NetworkCard], folder: Path) -> None:
    """Have interfaces get the addresses that metadata wants, whenever they appear.

    Args:
        cards: what metadata wants.
        folder: where systemd-networkd looks for files of this boot.

    Raises:
        TemporaryError: nobody takes the files.
    """
    _write(cards, folder)
    try:
        async with asyncio.timeout(_SECONDS):
            process = await asyncio.create_subprocess_exec(*RELOAD, stdin=asyncio.subprocess.DEVNULL)
            code = await process.wait()
    except (OSError, TimeoutError) as error:
        raise TemporaryError(f"systemd-networkd does not take addresses: {type(error).__name__} {error}") from None
    if code:
        raise TemporaryError(f"systemd-networkd does not take addresses: {' '.join(RELOAD)} ended with {code}")


def _write(cards: Sequence[NetworkCard], folder: Path) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for index, card in enumerate(cards):
        write_public(folder / _FILE.format(index), network_file(card).encode("ascii"))


def network_file(card: NetworkCard) -> str:
    """Write the file of one interface."""
    addresses = "".join(f"Address={address.with_prefixlen}\n" for address in card.addresses)
    return f"[Match]\nMACAddress={card.mac}\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\n{addresses}"
