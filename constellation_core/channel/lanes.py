# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whose address it is: strangers are told apart by where they come from, and by nothing else.

Who has an IPv6 address has more of them than there are places anywhere, so all that one owner may choose from is one.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

_CUSTOMER: Final = 64  # bits of an IPv6 address that say whose it is; the rest is for its owner to choose


class Lane(NamedTuple):
    """Where those wait that cannot be told apart.

    Attributes:
        outside: whether they come from another machine.
        name: of the lane.
    """

    outside: bool
    name: str

    @classmethod
    def of(cls, address: str) -> Lane:
        """Find the lane of an address.

        Args:
            address: an IP address, with or without a zone, or any other name of a lane.
        """
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return cls(outside=True, name=address)
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        if isinstance(parsed, IPv6Address) and not parsed.is_loopback:
            return cls(outside=True, name=str(ip_network((parsed, _CUSTOMER), strict=False)))
        return cls(outside=not parsed.is_loopback, name=str(parsed))
