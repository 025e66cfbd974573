# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which control planes serve the API, as this node sees them: where the address of the API leads (docs/adr/0021).

| a control plane | |
|---|---|
| that is out | comes in when its `/readyz` says so: what has only a port open may wait for etcd, or hang |
| that is in | goes out when its port was closed `MISSES` times in a row: a port costs nothing to look at |

While none is in, all that are known may be: better a try than nothing. Whom to believe is not decided here: who speaks
to an API server checks its certificate. https://kubernetes.io/docs/reference/using-api/health-checks/
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from constellation_core.networks import API_PORT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from ipaddress import IPv4Address

EVERY: Final = 4.0  # seconds between two looks
MISSES: Final = 2  # looks in a row; an emulated machine may be too busy for one
OPENING: Final = 2.0  # seconds for a port: one packet there and one back, and once more if one is lost
ANSWERING: Final = 5.0  # seconds for `/readyz`, with a handshake

_READY: Final = b"GET /readyz HTTP/1.0\r\n\r\n"


class ApiServers:
    """The API servers of the cluster.

    Args:
        own: address of this node in the mesh.
        served_here: whether one of them is its own.
        port: of all of them.
    """

    def __init__(self, own: IPv4Address, *, served_here: bool, port: int = API_PORT) -> None:
        self._own = own
        self._port = port
        self._served_here = served_here
        self._known: tuple[IPv4Address, ...] = ()
        self._misses: dict[IPv4Address, int] = {}  # of those that are in
        self._order: tuple[IPv4Address, ...] = ()

    @property
    def order(self) -> tuple[IPv4Address, ...]:
        """Mesh addresses of those that may be used; new connections go to the first one."""
        return self._order

    def know(self, others: Iterable[IPv4Address]) -> None:
        """Take the control planes that there are.

        Args:
            others: mesh addresses of all but this node.
        """
        own = {self._own} if self._served_here else set()
        self._known = tuple(sorted({*others, *own}, key=self._rank))
        self._misses = {address: misses for address, misses in self._misses.items() if address in self._known}
        self._settle()

    async def look(self) -> None:
        """See which of them serve."""
        looked_at = self._known
        found = await asyncio.gather(*(self._answers(address) for address in looked_at))
        for address, answers in zip(looked_at, found, strict=True):
            misses = 0 if answers else self._misses.get(address, MISSES) + 1
            self._misses.pop(address, None)
            if misses < MISSES and address in self._known:
                self._misses[address] = misses
        self._settle()

    async def _answers(self, address: IPv4Address) -> bool:
        return await (is_open if address in self._misses else is_ready)(address, self._port)

    def _settle(self) -> None:
        if self._misses:
            self._order = tuple(address for address in self._known if address in self._misses)
            return
        # Who joins has no API server yet, but all else of a control plane.
        waiting = sorted(self._known, key=lambda address: address == self._own)
        kept = (address for address in self._order if address in self._known)
        self._order = tuple(dict.fromkeys((*kept, *waiting)))

    def _rank(self, address: IPv4Address) -> tuple[bool, bytes]:
        """Order them: this node's own first, and others so that each of them is the first one for some nodes."""
        return address != self._own, hashlib.sha256(self._own.packed + address.packed).digest()


async def is_open(address: IPv4Address, port: int) -> bool:
    """Tell whether a machine accepts connections."""
    try:
        async with asyncio.timeout(OPENING), _connection(address, port):
            return True
    except (OSError, TimeoutError):
        return False


async def is_ready(address: IPv4Address, port: int) -> bool:
    """Tell whether an API server says that it serves."""
    if not await is_open(address, port):  # a machine that is off shall not take the time of one that is slow
        return False
    try:
        async with asyncio.timeout(ANSWERING), _connection(address, port, anybody()) as (reader, writer):
            writer.write(_READY)
            _, status, *_ = (await reader.readline()).split()
            return status == b"200"
    except (OSError, TimeoutError, ValueError):  # what TLS refuses is an OSError
        return False


@asynccontextmanager
async def _connection(
    address: IPv4Address, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(str(address), port, ssl=tls)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def anybody() -> ssl.SSLContext:
    """Give what speaks TLS with anybody."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls
