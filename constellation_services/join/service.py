# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The join service as a program: settings, start, drain."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lightkube import KubeConfig
from lightkube.resources.core_v1 import ConfigMap

from attestation.case import BINDING_SIZE
from attestation.issuer import open_issuer
from attestation.roots import VENDOR_ROOTS, Roots
from attestation.variant import Variant  # noqa: TC001 - the program reads the types of settings
from constellation_core.channel.server import AttestedServer
from constellation_core.cluster_authority import ClusterAuthority
from constellation_core.cluster_objects import NodeIdentityObject
from constellation_core.conditions import Condition
from constellation_core.keys.client import KeyServiceClient
from constellation_core.names import KEY_SERVICE_HOST, KEY_SERVICE_PORT, NAMESPACE
from constellation_core.own_node import NodeIssuer, own_image
from constellation_services.api_client import api_client
from constellation_services.join.acceptance import Acceptance
from constellation_services.join.admission import Admission
from constellation_services.join.facts import Facts
from constellation_services.join.leases import Leases
from constellation_services.join.news import Metrics, News
from constellation_services.join.registry import Registry
from constellation_services.join.roster import Roster
from constellation_services.join.rpc import JoinService
from constellation_services.join.tickets import TicketOffice
from constellation_services.join.tokens import Tokens
from constellation_services.status import status_server
from constellation_services.watching import TEMPORARY, Follower

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from lightkube import AsyncClient

    from attestation.issuer import Issuer
    from constellation_core.keys.provider import KeyProvider

API_TIMEOUT: Final = 8.0  # seconds for one answer of the API server
SWEEP: Final = 10.0  # seconds between two looks for tokens that are over

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the join service is started with.

    Attributes:
        variant: platform of this node.
        host: address to listen on.
        port: of the attested channel; 0 for any that is free.
        status_port: of `constellation_services.status`; 0 for any that is free.
        tpm: address of the TPM; empty for the kernel's.
        kubernetes: folder with the files of a control plane, `pki` among them.
        key_service: host name of the key service.
        key_service_port: its port.
        key_service_token: file with our projected token for it.
        manifest: folder with `measurements.json` of this node's image and its signature; may be missing.
        turn: seconds that one control plane may take to join.
        grace: seconds that requests have to end when the service stops.
        instance: name of this pod, for events.
    """

    variant: Variant
    host: str = "0.0.0.0"  # noqa: S104 - nodes come from everywhere
    port: int = 9090
    status_port: int = 9190
    tpm: str = ""
    kubernetes: Path = Path("/etc/kubernetes")
    key_service: str = KEY_SERVICE_HOST
    key_service_port: int = KEY_SERVICE_PORT
    key_service_token: Path = Path("/run/constellation/key-service/token")
    manifest: Path = Path("/usr/share/constellation/image")
    turn: int = 900
    grace: float = 20.0
    instance: str = os.environ.get("HOSTNAME", "join-service")


@dataclass(frozen=True, slots=True)
class Listening:
    """A running service.

    Attributes:
        port: of the attested channel.
        status_port: of the status server.
        ready: what is true when it can let machines in.
        news: what it tells operators.
        metrics: what it counts.
    """

    port: int
    status_port: int
    ready: tuple[Condition, ...]
    news: News
    metrics: Metrics


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the join service until `stop` is set; then let requests end.

    Raises:
        DeviceError: this node cannot attest itself.
        CoreError: the cluster's authority, or the manifest of the image, cannot be used.
        OSError: a port is taken.
    """
    key_service = KeyServiceClient(
        settings.key_service,
        settings.key_service_port,
        settings.kubernetes / "pki" / "ca.crt",
        settings.key_service_token,
    )
    configuration = KubeConfig.from_env()
    with closing(NodeIssuer(settings.variant, lambda: open_issuer(settings.variant, tpm=settings.tpm))) as issuer:
        await asyncio.to_thread(issuer.issue, bytes(BINDING_SIZE))  # a node that cannot should say so at once
        async with (
            api_client(configuration, timeout=API_TIMEOUT) as client,
            key_service as keys,
            serve(settings, client, keys, issuer),
        ):
            await stop.wait()


@asynccontextmanager
async def serve(
    settings: Settings, client: AsyncClient, keys: KeyProvider, issuer: Issuer, *, roots: Roots = VENDOR_ROOTS
) -> AsyncIterator[Listening]:
    """Serve for as long as the block runs. Nobody is let in before join-config was read.

    Args:
        settings: where to listen, and for whom.
        client: of the API server.
        keys: where keys come from.
        issuer: evidence of this node.
        roots: vendor keys to believe; others than the default only for fakes.
    """
    metrics = Metrics.new()
    news = News(client, settings.instance, metrics)
    acceptance, facts, roster = Acceptance(client, news, metrics, roots), Facts(), Roster()
    metrics.nodes.set_function(lambda: len(roster))
    metrics.config_usable.set_function(lambda: not acceptance.trouble)
    metrics.facts_usable.set_function(lambda: not facts.trouble)
    leases, tokens = Leases(client), Tokens(client)
    image = await asyncio.to_thread(own_image, settings.manifest)

    def take(objects: Mapping[str, Any]) -> None:
        acceptance.take(objects)
        facts.take(objects)

    config_maps = Follower(client, ConfigMap, take, namespace=NAMESPACE)
    nodes = Follower(client, NodeIdentityObject, roster.take)
    registry = Registry(client, leases, facts, roster, tokens)
    service = JoinService(
        acceptance=acceptance,
        admission=Admission(client, registry, leases, settings.turn),
        office=TicketOffice(
            keys=keys,
            registry=registry,
            roster=roster,
            tokens=tokens,
            authority=await asyncio.to_thread(ClusterAuthority.load, settings.kubernetes / "pki"),
            kubernetes=settings.kubernetes,
            news=news,
            image=image,
        ),
        facts=facts,
        news=news,
        metrics=metrics,
    )
    server = AttestedServer([service], issuer=issuer, verifier=acceptance, image=image, observer=news)

    serving = asyncio.Event()
    ready = (
        Condition("join-config was read", lambda: acceptance.missing),
        Condition("the facts of the cluster are known", lambda: facts.missing),
        Condition("ConfigMaps are followed", lambda: config_maps.missing),
        Condition("NodeIdentity objects are followed", lambda: nodes.missing),
        Condition("this node can prove itself", lambda: issuer.trouble() if isinstance(issuer, NodeIssuer) else None),
        Condition("machines may connect", lambda: None if serving.is_set() else "the service starts or stops"),
    )
    work = (config_maps.run(), nodes.run(), news.run(), _sweep(tokens, roster))
    tasks = [asyncio.create_task(endless) for endless in work]
    try:
        async with status_server(settings.host, settings.status_port, metrics.registry, ready) as status_port:
            await server.start(settings.host, settings.port)
            serving.set()
            try:
                yield Listening(server.port, status_port, ready, news, metrics)
            finally:
                serving.clear()
                await server.drain(settings.grace)
                await news.flush(settings.grace)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _sweep(tokens: Tokens, roster: Roster) -> None:
    """Withdraw tokens that are over, again and again."""
    while True:
        await asyncio.sleep(SWEEP)
        try:
            await tokens.sweep(roster.objects())
        except Exception as error:  # noqa: BLE001 - nobody would notice that it stopped
            _LOG.warning("cannot withdraw tokens now: %s", error, exc_info=not isinstance(error, TEMPORARY))
