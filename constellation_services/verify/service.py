# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The verification service as a program: settings, start, drain."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attestation.case import BINDING_SIZE
from attestation.errors import AttestationError
from attestation.issuer import open_issuer
from constellation_core.channel.server import AttestedServer
from constellation_core.channel.turns import TurnLimits, Turns
from constellation_core.conditions import Condition
from constellation_core.names import STATUS_PORT, VERIFICATION_HTTP_PORT, VERIFICATION_PORT
from constellation_core.own_node import NodeIssuer, own_image
from constellation_services.http_server import HttpServer
from constellation_services.status import status_server
from constellation_services.verify.metrics import VerifyMetrics
from constellation_services.verify.rpc import VerifyRpc
from constellation_services.verify.statement_maker import StatementMaker
from constellation_services.verify.web import PATH, StatementPage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from attestation.variant import Variant
    from constellation_services.settings import Count, Port

RETRY: Final = 5.0  # seconds between two attempts to make a device work

_LIMITS: Final = TurnLimits()
_LOG: Final = logging.getLogger(__name__)


def _node_name() -> str:
    return os.environ.get("NODE_NAME") or socket.gethostname()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the verification service is started with.

    Attributes:
        variant: platform of this node.
        host: address to listen on.
        port: of the attested channel; 0 for any that is free.
        http_port: of statements over plain HTTP; 0 for any that is free.
        status_port: of health and metrics; 0 for any that is free.
        node_name: name of this node; $NODE_NAME, if that is set.
        cluster_id: file with the cluster ID in hexadecimal; it is there when the node carries the cluster's mark.
        tpm: address of the TPM; empty for the kernel's.
        boot_log: file with the boot log; the kernel's where it is not given.
        device_timeout: seconds to wait for each answer of the TPM.
        manifest: folder with `measurements.json` of this node's image and its signature; may be missing.
        per_second: how often the device may sign, for ever.
        burst: how often it may sign after a pause.
        waiting: peers that may wait for the device.
        lane: peers of one address that may wait for it.
        patience: seconds that a peer may wait for it.
        grace: seconds that requests have to end when the service stops.
    """

    variant: Variant
    host: str = "0.0.0.0"  # noqa: S104 - anybody may ask
    port: Port = VERIFICATION_PORT
    http_port: Port = VERIFICATION_HTTP_PORT
    status_port: Port = STATUS_PORT
    node_name: str = field(default_factory=_node_name)
    cluster_id: Path = Path("/run/constellation/cluster-id")
    tpm: str = ""
    boot_log: Path | None = None
    device_timeout: float = 20.0
    manifest: Path = Path("/usr/share/constellation/image")
    per_second: float = _LIMITS.per_second
    burst: Count = _LIMITS.burst
    waiting: Count = _LIMITS.waiting
    lane: Count = _LIMITS.lane
    patience: float = _LIMITS.patience
    grace: float = 20.0

    @property
    def turn_limits(self) -> TurnLimits:
        """How often the device signs, and for whom."""
        return TurnLimits(
            per_second=self.per_second,
            burst=self.burst,
            waiting=self.waiting,
            lane=self.lane,
            patience=self.patience,
        )


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a running service listens."""

    port: int
    http_port: int
    status_port: int


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the verification service until `stop` is set; then let requests end.

    A node whose device does not work is not ready, and goes on trying.

    Raises:
        ConfigError: the manifest of the image cannot be used.
        OSError: a port is taken.
    """
    async with serve(settings):
        await stop.wait()


@asynccontextmanager
async def serve(settings: Settings) -> AsyncIterator[Listening]:
    """Serve for as long as the block runs.

    Args:
        settings: where to listen, and for whom.
    """
    metrics, turns = VerifyMetrics(), Turns(settings.turn_limits)
    metrics.watch_turns(turns.__len__)
    opening = partial(
        open_issuer, settings.variant, tpm=settings.tpm, boot_log=settings.boot_log, timeout=settings.device_timeout
    )
    issuer = NodeIssuer(settings.variant, opening, metrics.evidence_seconds.observe)
    maker = StatementMaker(issuer, turns, settings.node_name, settings.cluster_id)
    image = await asyncio.to_thread(own_image, settings.manifest)
    channel = AttestedServer([VerifyRpc(maker, metrics)], issuer=issuer, image=image, observer=metrics, turns=turns)
    page = HttpServer({PATH: StatementPage(maker, metrics)})
    draining = asyncio.Event()
    ready = (
        Condition("the device makes evidence", issuer.trouble),
        Condition("the node belongs to a cluster", maker.no_cluster),
        Condition("the service is not stopping", lambda: "it drains" if draining.is_set() else None),
    )
    trying = asyncio.create_task(_keep_device_working(issuer))
    try:
        async with status_server(settings.host, settings.status_port, metrics.registry, ready) as status_port:
            try:
                await channel.start(settings.host, settings.port)
                await page.start(settings.host, settings.http_port)
                yield Listening(channel.port, page.port, status_port)
            finally:
                draining.set()
                await asyncio.gather(channel.drain(settings.grace), page.drain(settings.grace))
    finally:
        trying.cancel()
        maker.close()
        await asyncio.to_thread(issuer.close)


async def _keep_device_working(issuer: NodeIssuer) -> None:
    """Try a device that does not work: while the node is not ready nobody else asks it."""
    while True:
        if issuer.trouble() is not None:
            try:
                await asyncio.to_thread(issuer.issue, secrets.token_bytes(BINDING_SIZE))
            except (AttestationError, OSError) as error:
                _LOG.warning("the device does not work: %s", error, extra={"hint": getattr(error, "hint", "")})
        await asyncio.sleep(RETRY)
