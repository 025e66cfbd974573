# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What must change in the kernel so that the mesh has the peers that it should have, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from constellation_core.keys.secret import Secret

FRESH: Final = timedelta(seconds=180)
"""How long a session of WireGuard lasts: REJECT_AFTER_TIME."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where WireGuard sends to.

    Attributes:
        address: of the peer.
        port: UDP port.
    """

    address: IPv4Address | IPv6Address
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPeer:
    """A peer as it should be.

    Attributes:
        public_key: 32 bytes.
        psk: preshared key of the pair.
        endpoint: where it is; None to wait until it speaks.
        allowed: addresses that are its own, and nobody else's.
    """

    public_key: bytes
    psk: Secret
    endpoint: Endpoint | None
    allowed: frozenset[IPv4Network]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPeer:
    """A peer as the kernel has it.

    Attributes:
        public_key: 32 bytes.
        psk: preshared key; None where it has none.
        endpoint: where it is, or spoke from last.
        allowed: addresses that are taken as its own.
        keepalive: seconds between packets that only keep a way open; 0 for none.
        handshake: when it last proved itself; None for never.
    """

    public_key: bytes
    psk: Secret | None
    endpoint: Endpoint | None
    allowed: frozenset[IPv4Network | IPv6Network]
    keepalive: int = 0
    handshake: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What to do, in this order.

    Attributes:
        removed: public keys of peers that must go.
        written: peers to make or to correct. An address that was another's moves in one step.
    """

    removed: tuple[bytes, ...]
    written: tuple[WantedPeer, ...]


def changes(found: Iterable[FoundPeer], wanted: Iterable[WantedPeer], now: datetime) -> Changes:
    """Compare what is there with what should be.

    Args:
        found: peers in the kernel.
        wanted: peers of the cluster; no two with the same key.
        now: the time.
    """
    there = {peer.public_key: peer for peer in found}
    should = {peer.public_key: peer for peer in wanted}
    return Changes(
        removed=tuple(key for key in there if key not in should),
        written=tuple(peer for key, peer in should.items() if key not in there or not _right(there[key], peer, now)),
    )


def _right(found: FoundPeer, wanted: WantedPeer, now: datetime) -> bool:
    return (
        found.psk == wanted.psk
        and found.allowed == wanted.allowed
        and found.keepalive == 0
        and _reaches(found, wanted, now)
    )


def _reaches(found: FoundPeer, wanted: WantedPeer, now: datetime) -> bool:
    """Whether the endpoint may stay. Where a peer proved itself from is better than what it announced."""
    speaks = found.handshake is not None and now - found.handshake < FRESH
    return wanted.endpoint is None or found.endpoint == wanted.endpoint or (speaks and found.endpoint is not None)
