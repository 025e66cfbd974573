# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The storage service as a program: on every node, it makes and deletes the volumes that are on this node's state disk.

A volume is a folder. What that means, and does not:

- It is as encrypted and as integrity-protected as everything on the state disk, and it stays on its node.
- A claim gets at least what it asks for when it is made, and nobody holds it to that later: folders share the disk.
- It is deleted with its claim (`reclaimPolicy: Delete`), at once and with all that is in it.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lightkube import KubeConfig
from lightkube.resources.core_v1 import PersistentVolume, PersistentVolumeClaim
from prometheus_client import CollectorRegistry

from constellation_core.conditions import Condition
from constellation_core.names import STATUS_PORT, VOLUMES_FOLDER
from constellation_services.api_client import api_client
from constellation_services.errors import ServiceError
from constellation_services.status import status_server
from constellation_services.storage.keeper import Keeper
from constellation_services.watching import Follower

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lightkube import AsyncClient

    from constellation_services.settings import Port

API_TIMEOUT: Final = 8.0  # seconds for one answer of the API server


@dataclass(frozen=True, slots=True)
class Settings:
    """What the storage service is started with.

    Attributes:
        node: name of this node.
        folder: where volumes are.
        kubelet_folder: where the kubelet sees them.
        host: address to listen on.
        status_port: of `constellation_services.status`; 0 for any that is free.
    """

    node: str = os.environ.get("NODE_NAME", "")
    folder: Path = Path(VOLUMES_FOLDER)
    kubelet_folder: Path = Path(VOLUMES_FOLDER)
    host: str = "0.0.0.0"  # noqa: S104 - probes come from the node
    status_port: Port = STATUS_PORT


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the storage service until `stop` is set.

    Raises:
        ServiceError: it was not told which node it is on.
        OSError: the port is taken.
    """
    if not settings.node:
        raise ServiceError("expected the name of this node", hint="set NODE_NAME, or --node")
    async with api_client(KubeConfig.from_env(), timeout=API_TIMEOUT) as client, serve(settings, client):
        await stop.wait()


@asynccontextmanager
async def serve(settings: Settings, client: AsyncClient) -> AsyncIterator[int]:
    """Serve for as long as the block runs.

    Args:
        settings: where, and for which node.
        client: of the API server.

    Yields:
        Port of the status server.
    """
    registry = CollectorRegistry()
    keeper = Keeper(settings.node, settings.folder, settings.kubelet_folder, client, registry)
    claims = Follower(client, PersistentVolumeClaim, keeper.take_claims, namespace="*", key=_uid)
    volumes = Follower(client, PersistentVolume, keeper.take_volumes)
    ready = (
        Condition("claims are followed", lambda: claims.missing),
        Condition("volumes are followed", lambda: volumes.missing),
        Condition("there is a folder for volumes", lambda: keeper.trouble),
    )
    tasks = [asyncio.create_task(endless) for endless in (claims.run(), volumes.run(), keeper.run())]
    try:
        async with status_server(settings.host, settings.status_port, registry, ready) as port:
            yield port
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _uid(found: Any) -> str:  # noqa: ANN401
    return str(found.metadata.uid)
