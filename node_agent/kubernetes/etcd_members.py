# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Members of etcd that no control plane is any more: they go, because each of them counts for the quorum.

A machine that burnt cannot leave by itself. Once the cluster has forgotten it (`constellation nodes forget`) every
control plane asks for its removal, of which etcd carries out one.

1. Members are read before the identities of nodes: who is a member got an identity before that, so whoever has none
   was forgotten. Identities are read from etcd and not from a cache, for the same reason (attack: an old answer makes
   control planes of today look forgotten).
2. An answer without this node's own identity is not believed: an empty one would leave no member.
3. etcd refuses a removal that would cost its quorum.

etcd's own API, as JSON: https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from constellation_core.roles import Role
from node_agent.errors import TemporaryError
from node_agent.https import RefusedError, client_tls, connect
from node_agent.kubernetes.paths import ETCD_PKI, KUBELET_CONFIGURATION
from node_agent.network.api_server import ApiServer
from node_agent.network.mesh import IDENTITIES, KUBELET_CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from node_agent.https import Connection

LOOK_AGAIN: Final = 600.0  # seconds
RETRY: Final = 30.0  # seconds after a look that failed

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of etcd.

    Attributes:
        id: decimal digits.
        name: of its node; empty before it was started.
        address: where other members reach it: its node's in the mesh; None where that is no address.
    """

    id: str
    name: str
    address: IPv4Address | None


@dataclass(frozen=True, slots=True)
class Etcd:
    """The member of etcd on this node.

    Attributes:
        pki: folder with its authority, and the certificate with which kubeadm has it asked for its health.
        port: for clients, on loopback.
    """

    pki: Path = ETCD_PKI
    port: int = 2379

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Connect.

        Raises:
            TemporaryError: it does not run, or its files are missing.
        """
        certificate = self.pki / "healthcheck-client.crt"
        try:
            tls = client_tls((self.pki / "ca.crt").read_text(), certificate, certificate.with_suffix(".key"))
        except OSError as error:
            raise TemporaryError(f"etcd: cannot read what to show it: {error}") from None
        async with connect("127.0.0.1", self.port, tls=tls, who="etcd") as connection:
            yield connection


async def keep_members(own: IPv4Address, news: asyncio.Event) -> None:
    """Take out who was forgotten, for as long as this runs: it ends when it is cancelled.

    Args:
        own: address of this node in the mesh.
        news: set when nodes came or went.
    """
    etcd, server = Etcd(), ApiServer(KUBELET_CONFIGURATION, KUBELET_CERTIFICATE)
    while True:
        news.clear()
        pause = LOOK_AGAIN
        try:
            await retire_forgotten(etcd, server, own)
        except Exception as error:  # noqa: BLE001 - whoever keeps the quorum must not stop, and nobody would notice
            bug = not isinstance(error, TemporaryError)
            _LOG.warning("the members of etcd stay as they are: %s", error, exc_info=bug)
            pause = RETRY
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await news.wait()


async def retire_forgotten(etcd: Etcd, server: ApiServer, own: IPv4Address) -> tuple[Member, ...]:
    """Take members out of etcd that are no control plane of the cluster.

    Args:
        etcd: of this node.
        server: says who is a node.
        own: address of this node in the mesh.

    Returns:
        Who was taken out.

    Raises:
        TemporaryError: one of them does not answer, or refuses.
    """
    async with etcd.connection() as connection, server.connection() as api:
        found = await connection.post("/v3/cluster/member/list", {})
        members = [_member(one) for one in found.get("members") or ()]  # 1
        known = _control_planes(await api.get(IDENTITIES))
        if own not in known:  # 2
            raise TemporaryError(f"expected a NodeIdentity with our address {own}, got {len(known)} others")
        forgotten = [member for member in members if member.address is not None and member.address not in known]
        return tuple([member for member in forgotten if await _remove(connection, member)])


async def _remove(connection: Connection, member: Member) -> bool:
    try:
        await connection.post("/v3/cluster/member/remove", {"ID": member.id})
    except RefusedError as error:
        if error.status == 404:  # noqa: PLR2004 - not found: another control plane was faster
            return False
        raise
    _LOG.warning("etcd: %s (%s) is no control plane any more, and no member", member.name, member.address)
    return True


def _member(found: Mapping[str, Any]) -> Member:
    hosts = [urlsplit(url).hostname for url in found.get("peerURLs") or ()]
    try:
        address = IPv4Address(hosts[0] or "") if hosts else None
    except ValueError:
        address = None
    return Member(str(found.get("ID", "")), str(found.get("name", "")), address)


def _control_planes(listing: Mapping[str, Any]) -> frozenset[IPv4Address]:
    """Give the addresses of control planes; what cannot be read is an error, and nobody is forgotten for it."""
    try:
        specs = [found["spec"] for found in listing.get("items") or ()]
        return frozenset(IPv4Address(spec["meshAddress"]) for spec in specs if spec["role"] == Role.CONTROL_PLANE)
    except (KeyError, TypeError, ValueError) as error:
        raise TemporaryError(f"NodeIdentity objects: cannot read them: {error}") from None
