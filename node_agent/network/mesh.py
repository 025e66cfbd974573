# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The mesh of a node: what `node_agent.parts.Mesh` promises, on WireGuard, nftables and the API server.

What protects is in the kernel and stays there: rules, interface, keys and routes outlive this program. While it runs it
looks again every minute and puts right what others changed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Network
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_core.keys.derivation import mesh_psk
from constellation_core.networks import DEFAULT_MESH_NETWORK
from constellation_core.roles import Role
from node_agent.errors import AgentError, PermanentError
from node_agent.network import api_servers, endpoints, interface, keys, pod_network
from node_agent.network.api_servers import ApiServers
from node_agent.network.claims import Identity, Known, PodRange, judge
from node_agent.network.firewall import Firewall
from node_agent.network.names import MESH_PORT
from node_agent.network.nftables import Rules, knows_pods
from node_agent.network.reconciling import Endpoint, WantedPeer, changes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ipaddress import IPv4Address

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from constellation_core.keys.secret import Secret
    from node_agent.network.following import Follower
    from node_agent.parts import Peer

REPAIR: Final = 60.0  # seconds between looks at what is in the kernel
RETRY: Final = 5.0  # seconds after a look that failed
RULES_EVERY: Final = 5  # looks; reading the rules back starts a program
IDENTITIES: Final = "/apis/constellation.dev/v1/nodeidentities"
NODES: Final = "/api/v1/nodes"
KUBELET_CERTIFICATE: Final = Path("/var/lib/kubelet/pki/kubelet-client-current.pem")
"""Certificate and key; the kubelet replaces it in time."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Own:
    """Who this node is in the mesh."""

    key: X25519PrivateKey
    address: IPv4Address
    secret: Secret

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes_raw()


def _nobody(_peers: Sequence[Peer]) -> None:
    """Hear of peers, and do nothing."""


class Mesh:
    """The mesh, the firewall and the pod network of this node.

    Args:
        tcp_ports: what the node opens to the outside; a control plane: 6443, 9000 and 9999.
        network: addresses of nodes in the mesh.
        certificate: of the kubelet, with its key.
    """

    def __init__(
        self,
        *,
        tcp_ports: Sequence[int] = (),
        network: IPv4Network = DEFAULT_MESH_NETWORK,
        certificate: Path = KUBELET_CERTIFICATE,
    ) -> None:
        self._firewall = Firewall(mesh=network, tcp_ports=tuple(tcp_ports))
        self._certificate = certificate
        self._rules = Rules()
        self._protected = False
        self._own: _Own | None = None
        self._held: dict[str, Peer] = {}
        self._mtu = endpoints.mtu(())
        self._api: ApiServers | None = None
        self._leading = asyncio.Event()
        self._refusals: tuple[str, ...] = ()
        self._key_announced: bool | None = None
        self._trouble: str | None = None
        self._followers: tuple[Follower[Identity], Follower[PodRange]] | None = None
        self._changing = asyncio.Lock()

    @property
    def missing(self) -> str | None:
        """Why the peers are perhaps not those of the cluster; None if they are."""
        if self._followers is None:
            return "the nodes of the cluster are not followed"
        said = (self._trouble, *(follower.missing for follower in self._followers))
        return next((words for words in said if words is not None), None)

    @property
    def key_announced(self) -> bool | None:
        """Whether peers know the key that this node has; None while nobody knows."""
        return self._key_announced

    @property
    def refusals(self) -> tuple[str, ...]:
        """What nodes claim and do not get, for people."""
        return self._refusals

    def load_or_make_key(self, folder: Path) -> X25519PrivateKey:
        """Give the key that is kept in a folder; see `node_agent.network.keys`."""
        return keys.load_or_make_key(folder)

    async def protect(self, pod_cidr: IPv4Network | None, *, service_cidr: IPv4Network | None = None) -> None:
        """Put the rules in: before the first pod, and as soon as the machine runs.

        Args:
            pod_cidr: addresses of all pods; None before that is known: then nothing is forwarded, unless an earlier
                run of this program knew it, whose rules stay.
            service_cidr: addresses of Services; None before that is known.

        Raises:
            PermanentError: the networks overlap, or the kernel does not take the rules.
            TemporaryError: it does not now.
        """
        if pod_cidr is None and await knows_pods():
            return
        await self._change(lambda rules: replace(rules, pods=pod_cidr, services=service_cidr, own_pods=None))

    async def start(self, *, key: X25519PrivateKey, address: IPv4Address, secret: Secret) -> None:
        """Make the interface; again with the same arguments, nothing changes. With another key: see `keys`.

        Args:
            key: of this node.
            address: of this node in the mesh.
            secret: the measurement secret; the key of each pair of nodes derives from it.

        Raises:
            PermanentError: the address is not in the mesh, or the kernel has no WireGuard.
            TemporaryError: the kernel refuses now.
        """
        if address not in self._firewall.mesh:
            raise PermanentError(f"mesh address: expected one in {self._firewall.mesh}, got {address}")
        if not self._protected:  # the interface never is there without the rules
            await self.protect(None)
        async with self._changing:
            await interface.make_interface(key, address, self._firewall.closed)
            self._own = _Own(key, address, secret)
        if self._held:
            await self.set_peers(list(self._held.values()))

    async def set_peers(self, peers: Sequence[Peer]) -> None:
        """Speak with these nodes, and with no other.

        Args:
            peers: all other nodes; no two with the same key or address.

        Raises:
            PermanentError: the mesh was not started, or two peers claim the same.
            TemporaryError: the kernel refuses now.
        """
        own = self._started()
        async with self._changing:
            wanted = await self._wanted(own, peers)
            _check_apart(own, wanted)
            await interface.change_peers(changes(await interface.read_peers(), wanted, datetime.now(UTC)))
            self._held = {peer.name: peer for peer in peers}
            await self._fit(wanted)
        await self._lead()

    async def lead_to_api(self, *, served_here: bool) -> None:
        """Lead the address of the API to a control plane that serves, out of those that are peers at any time.

        Args:
            served_here: whether this node is a control plane itself: then its own API server goes first.

        Raises:
            PermanentError: the mesh was not started.
            TemporaryError: the kernel refuses now.
        """
        self._api = ApiServers(self._started().address, served_here=served_here)
        await self._lead()
        self._leading.set()

    async def watch_api(self) -> None:
        """See which control planes serve, for as long as this runs. Before `lead_to_api`, nobody wants to know."""
        while True:
            await self._leading.wait()
            try:
                await self._lead(look=True)
            except Exception as error:  # noqa: BLE001 - whoever keeps a way open must not stop, and nobody would notice
                self._note(error)
            await asyncio.sleep(api_servers.EVERY)

    async def follow(self, kubeconfig: Path, learnt: Callable[[Sequence[Peer]], None] = _nobody) -> None:
        """Take the nodes of the cluster as peers, for as long as this runs: it ends when it is cancelled.

        Args:
            kubeconfig: of the kubelet.
            learnt: told all peers whenever they change.

        Raises:
            PermanentError: the mesh was not started.
        """
        from node_agent.network.api_server import ApiServer  # noqa: PLC0415 - a node that waits does not need them
        from node_agent.network.following import Follower  # noqa: PLC0415 - the same

        self._started()
        news = asyncio.Event()
        server = ApiServer(kubeconfig, self._certificate)
        identities = Follower(server, IDENTITIES, Identity.from_object, news.set)
        ranges = Follower(server, NODES, PodRange.from_object, news.set)
        self._followers = (identities, ranges)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(identities.run())
            tasks.create_task(ranges.run())
            tasks.create_task(self._keep(news, learnt))

    async def close(self) -> None:
        """Remove the interface and forget its keys. What `protect` drops stays dropped.

        Raises:
            TemporaryError: the kernel refuses.
        """
        async with self._changing:
            await interface.remove_interface()
            self._own, self._held, self._api = None, {}, None
            self._leading.clear()

    def _started(self) -> _Own:
        if self._own is None:
            raise PermanentError("the mesh was not started")
        return self._own

    async def _lead(self, *, look: bool = False) -> None:
        """Have the rules lead to where the API is served, if that changed."""
        if (api := self._api) is None:
            return
        if look:
            await api.look()
        api.know([peer.mesh_address for peer in self._held.values() if peer.role is Role.CONTROL_PLANE])
        order = api.order
        if order != self._firewall.api_servers:
            await self._change(lambda rules: replace(rules, api_servers=order))
            _LOG.info("the API is served by %s", ", ".join(map(str, order)) or "nobody")

    async def _change(self, change: Callable[[Firewall], Firewall]) -> None:
        """Load other rules than those of the moment when it is this change's turn."""
        async with self._changing:
            firewall = change(self._firewall)
            await self._rules.load(firewall)
            self._firewall, self._protected = firewall, True
            if firewall.pods is not None:
                pod_network.allow_forwarding()
            if self._own is not None:  # the way to pods leads into the mesh
                await interface.make_interface(self._own.key, self._own.address, firewall.closed)

    async def _wanted(self, own: _Own, peers: Sequence[Peer]) -> list[WantedPeer]:
        own_addresses = await interface.own_addresses()
        wanted = []
        for peer in peers:
            addresses = await endpoints.resolve(peer.endpoints)
            chosen = endpoints.choose(addresses, own_addresses, self._firewall.closed)
            allowed = {IPv4Network(peer.mesh_address)} | ({peer.pod_cidr} if peer.pod_cidr is not None else set())
            wanted.append(
                WantedPeer(
                    public_key=peer.public_key,
                    psk=mesh_psk(own.secret, own.public_key, peer.public_key),
                    endpoint=Endpoint(chosen, MESH_PORT) if chosen is not None else None,
                    allowed=frozenset(allowed),
                )
            )
        return wanted

    async def _fit(self, peers: Sequence[WantedPeer]) -> None:
        addresses = {peer.endpoint.address for peer in peers if peer.endpoint is not None}
        self._mtu = endpoints.mtu(await interface.path_mtus(addresses))
        await interface.set_mtu(self._mtu)

    async def _keep(self, news: asyncio.Event, learnt: Callable[[Sequence[Peer]], None]) -> None:
        """Apply what is read, and what is there already again and again."""
        for look in count(1):
            with suppress(TimeoutError):
                async with asyncio.timeout(REPAIR if self._trouble is None else RETRY):
                    await news.wait()
            news.clear()
            try:
                await self._apply(learnt)
                if look % RULES_EVERY == 0:
                    await self._rules.repair()
                self._trouble = None
            except Exception as error:  # noqa: BLE001 - whoever keeps the mesh must not stop, and nobody would notice
                self._note(error)

    def _note(self, error: Exception) -> None:
        said = f"the mesh stays as it is: {str(error) or type(error).__name__}"
        if said != self._trouble:
            _LOG.warning("%s", said, exc_info=None if isinstance(error, AgentError) else error)
        self._trouble = said

    async def _apply(self, learnt: Callable[[Sequence[Peer]], None]) -> None:
        own, followers = self._started(), self._followers
        if followers is None or (identities := followers[0].records) is None:
            return
        known = Known(
            address=own.address,
            public_key=own.public_key,
            mesh=self._firewall.mesh,
            pods=self._firewall.pods,
            own_pods=self._firewall.own_pods,
            held=self._held,
        )
        judgement = judge(known, identities, followers[1].records)
        for refusal in set(judgement.refusals).difference(self._refusals):
            _LOG.error("%s: refused", refusal)
        if not judgement.key_announced and self._key_announced is not False:
            _LOG.error("peers know another mesh key of this node: boot it again, so that it tells them a new one")
        self._refusals, self._key_announced = judgement.refusals, judgement.key_announced
        await interface.make_interface(own.key, own.address, self._firewall.closed)
        before = self._held
        await self.set_peers(judgement.peers)
        if self._held != before:
            learnt(judgement.peers)
        if judgement.own_pods is not None:
            if (own_pods := judgement.own_pods) != self._firewall.own_pods:
                await self._change(lambda rules: replace(rules, own_pods=own_pods))
            pod_network.write_configuration(judgement.own_pods, self._mtu)


def _check_apart(own: _Own, peers: Sequence[WantedPeer]) -> None:
    keys_used = [own.public_key, *(peer.public_key for peer in peers)]
    networks = sorted([IPv4Network(own.address), *(network for peer in peers for network in peer.allowed)])
    if len(set(keys_used)) != len(keys_used) or any(one.overlaps(other) for one, other in pairwise(networks)):
        raise PermanentError("peers: expected keys and addresses of their own, got two with the same")
