# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The key service as a program: settings, start, drain."""

from __future__ import annotations

import asyncio
import ssl
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc.aio
from httpx2 import Timeout
from lightkube import AsyncClient, KubeConfig

from constellation_core.conditions import Condition
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.kubernetes_store import KubernetesKeyStore
from constellation_core.keys.opening import open_provider
from constellation_core.names import KEY_SERVICE_HOST, KEY_SERVICE_PORT
from constellation_proto.keys_pb2_grpc import add_KeysServicer_to_server
from constellation_services.errors import ServiceError
from constellation_services.keys.audit import Audit
from constellation_services.keys.authentication import Authentication
from constellation_services.keys.certificate import ServingCertificate
from constellation_services.keys.metrics import KeyMetrics
from constellation_services.keys.server import KeyService
from constellation_services.status import status_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from constellation_core.keys.provider import KeyProvider
    from constellation_services.settings import Port

API_TIMEOUT: Final = 4.0  # seconds; less than a client waits for us
MAX_REQUESTS: Final = 2048  # at a time; more are told to come back
OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a second service on this port is an error
    ("grpc.max_receive_message_length", 4096),
    # What strangers can hold: so many places, about 45 KiB each, for so long.
    ("grpc.max_allowed_incoming_connections", 1024),
    ("grpc.server_handshake_timeout_ms", 3_000),
    # Places of clients that are idle, or gone, are given to others.
    ("grpc.max_connection_idle_ms", 300_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the key service is started with.

    Attributes:
        host: address to listen on; empty for all.
        port: of the RPC; 0 for any that is free.
        status_port: of `constellation_services.status`; 0 for any that is free.
        key_material: folder with the Secret `key-material`.
        pki: folder with the cluster's authority.
        names: of the serving certificate, with commas.
        certificate_lifetime: seconds that a serving certificate is valid.
        grace: seconds that requests have to end when the service stops.
    """

    host: str = ""
    port: Port = KEY_SERVICE_PORT
    status_port: Port = 9101
    key_material: Path = Path("/run/constellation/key-material")
    pki: Path = Path("/etc/kubernetes/pki")
    names: tuple[str, ...] = (
        KEY_SERVICE_HOST,
        f"{KEY_SERVICE_HOST}.cluster.local",
        KEY_SERVICE_HOST.removesuffix(".svc"),
    )
    certificate_lifetime: timedelta = timedelta(hours=24)
    grace: float = 10.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a running service listens."""

    port: int
    status_port: int


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the key service until `stop` is set; then let requests end.

    Raises:
        ServiceError: it would not be safe, or cannot listen.
        CoreError: key material or the cluster's authority cannot be used.
    """
    material = KeyMaterial.read(settings.key_material)
    configuration = KubeConfig.from_env()
    async with (
        AsyncClient(configuration, timeout=Timeout(API_TIMEOUT), trust_env=False) as client,
        open_provider(material, KubernetesKeyStore(client)) as provider,
        serve(settings, client, provider, Audit(sys.stdout)) as listening,
    ):
        await check_tls(settings.host, listening.port)
        await stop.wait()


@asynccontextmanager
async def serve(
    settings: Settings, client: AsyncClient, provider: KeyProvider, audit: Audit
) -> AsyncIterator[Listening]:
    """Serve for as long as the block runs.

    Args:
        settings: where to listen, and for whom.
        client: may create TokenReviews.
        provider: where keys come from.
        audit: is told of every request.

    Raises:
        ServiceError: the port is taken.
        AuthorityError: the cluster's authority cannot be used.
    """
    certificate = ServingCertificate(settings.pki, settings.names, settings.certificate_lifetime)
    metrics = KeyMetrics(certificate)
    service = KeyService(provider, Authentication(client), audit, metrics)
    server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_REQUESTS)
    add_KeysServicer_to_server(service, server)  # type: ignore[no-untyped-call] # generated
    port, serving = _listen(server, settings, certificate), asyncio.Event()
    ready = (
        Condition("requests are taken", lambda: None if serving.is_set() else "it starts or stops"),
        Condition("the serving certificate is valid", certificate.missing),
    )
    async with status_server(settings.host, settings.status_port, metrics.registry, ready) as status_port:
        await server.start()
        serving.set()
        try:
            yield Listening(port, status_port)
        finally:
            serving.clear()
            await server.stop(settings.grace)


def _listen(server: grpc.aio.Server, settings: Settings, certificate: ServingCertificate) -> int:
    host = f"[{settings.host or '::'}]" if ":" in (settings.host or "::") else settings.host
    address = f"{host}:{settings.port}"
    try:
        return server.add_secure_port(address, certificate.credentials())
    except RuntimeError:
        raise ServiceError(f"the key service cannot listen on {address}", hint="is the port taken?") from None


async def check_tls(host: str, port: int) -> None:
    """Check that the service on a port refuses TLS 1.2.

    Raises:
        ServiceError: it does not.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: only the version is asked
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        _, writer = await asyncio.open_connection(host or "localhost", port, ssl=context, ssl_handshake_timeout=5)
    except (ssl.SSLError, ConnectionResetError):
        return
    writer.close()
    raise ServiceError(
        "the key service would speak TLS 1.2", hint="import constellation_services.keys before anything imports grpc"
    )
