# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The storage service as a program: on every node, it makes and deletes the volumes that are on this node's state disk.

A volume is a folder. What that means, and does not:

- It is as encrypted and as integrity-protected as everything on the state disk, and it stays on its node.
- A claim gets at least what it asks for when it is made, and nobody holds it to that later: folders share the disk.
- It is deleted with its claim (`reclaimPolicy: Delete`), at once and with all that is in it.

Doing anything twice is doing it once: the folder is made before the volume is told of, and removed before that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import uuid
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lightkube import ApiError, KubeConfig
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event, PersistentVolume, PersistentVolumeClaim
from prometheus_client import CollectorRegistry, Counter

from constellation_core.conditions import Condition
from constellation_core.names import STATUS_PORT, VOLUMES_FOLDER
from constellation_services.api_client import api_client
from constellation_services.errors import ServiceError, VolumeRefusedError
from constellation_services.status import status_server
from constellation_services.storage.claims import claims_to_serve, folder_of, size_of, volume_for, volumes_to_delete
from constellation_services.watching import TEMPORARY, Follower

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from lightkube import AsyncClient

    from constellation_services.settings import Port

API_TIMEOUT: Final = 8.0  # seconds for one answer of the API server
AGAIN: Final = 20.0  # seconds after which what failed is tried again
FOR_ANY_USER: Final = 0o777  # of a volume's folder: only the pods of its claim see it
_GONE_OR_THERE: Final = frozenset({404, 409})

_LOG: Final = logging.getLogger(__name__)


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
    keeper = Keeper(settings, client, registry)
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


class Keeper:
    """Makes and deletes the volumes of one node.

    Args:
        settings: which node, and where its volumes are.
        client: of the API server.
        registry: what is counted.
    """

    def __init__(self, settings: Settings, client: AsyncClient, registry: CollectorRegistry) -> None:
        self._node, self._client = settings.node, client
        self._folder, self._kubelet_folder = settings.folder, settings.kubelet_folder
        self._claims: Mapping[str, Any] = {}
        self._volumes: Mapping[str, Any] = {}
        self._changed = asyncio.Event()
        self._told: dict[str, str] = {}
        self._counter = Counter(
            "constellation_storage_volumes", "Volumes by what was done", ["outcome"], registry=registry
        )

    @property
    def trouble(self) -> str | None:
        """Why no volume can be made; None if one can."""
        return None if os.access(self._folder, os.W_OK | os.X_OK) else f"cannot write to {self._folder}"

    def take_claims(self, objects: Mapping[str, Any]) -> None:
        """Take all claims of the cluster as they are now."""
        self._claims = objects
        self._changed.set()

    def take_volumes(self, objects: Mapping[str, Any]) -> None:
        """Take all volumes of the cluster as they are now."""
        self._volumes = objects
        self._changed.set()

    async def run(self) -> None:
        """Do what there is to do, at every change and every twenty seconds, until cancelled."""
        while True:
            self._changed.clear()
            for claim in claims_to_serve(self._claims.values(), self._node):
                await self._attempt(claim)
            for volume in volumes_to_delete(self._volumes.values(), self._node):
                await self._attempt(volume)
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._changed.wait()

    async def _attempt(self, wanted: PersistentVolumeClaim | PersistentVolume) -> None:
        """Make or delete one; what fails is told, and tried again later."""
        try:
            if isinstance(wanted, PersistentVolumeClaim):
                await self._make(wanted)
            else:
                await self._delete(wanted)
        except VolumeRefusedError as error:
            await self._tell(wanted, str(error))
        except TEMPORARY as error:
            self._counter.labels(outcome="failed").inc()
            _LOG.warning("cannot make or delete a volume now: %s", error)

    async def _make(self, claim: PersistentVolumeClaim) -> None:
        volume = volume_for(claim, self._node, self._kubelet_folder)
        name = _name(volume)
        if name in self._volumes:
            return  # the cluster has not bound it yet
        await asyncio.to_thread(self._make_folder, folder_of(name, self._folder), size_of(claim))
        if await _unless_so(self._client.create(volume)):
            self._counter.labels(outcome="made").inc()
            _LOG.info("made volume %s", name)

    def _make_folder(self, path: Path, size: int) -> None:
        if path.is_dir():
            return
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise VolumeRefusedError(f"the state disk of {self._node} has {free} bytes left, {size} are asked for")
        path.mkdir()
        path.chmod(FOR_ANY_USER)  # whatever the umask says

    async def _delete(self, volume: PersistentVolume) -> None:
        name = _name(volume)
        path = folder_of(name, self._folder)
        if path.exists():
            await asyncio.to_thread(shutil.rmtree, path)  # follows no symbolic links
        if await _unless_so(self._client.delete(PersistentVolume, name)):
            self._counter.labels(outcome="deleted").inc()
            _LOG.info("deleted volume %s", name)

    async def _tell(self, about: PersistentVolumeClaim | PersistentVolume, message: str) -> None:
        """Write an event about a claim, once for each thing there is to say."""
        metadata = about.metadata or ObjectMeta()
        uid = metadata.uid or ""
        if self._told.get(uid) == message:
            return
        self._told[uid] = message
        self._counter.labels(outcome="refused").inc()
        _LOG.warning("no volume for %s/%s: %s", metadata.namespace, metadata.name, message)
        try:
            await self._client.create(_event(metadata, message, self._node))
        except TEMPORARY as error:
            _LOG.warning("cannot tell the cluster: %s", error)


async def _unless_so(call: Any) -> bool:  # noqa: ANN401 - lightkube's calls have no common type
    """Wait for a call; False where the API server says that it is so already."""
    try:
        await call
    except ApiError as error:
        if error.status.code not in _GONE_OR_THERE:
            raise
        return False
    return True


def _event(about: ObjectMeta, message: str, node: str) -> Event:
    now = datetime.now(UTC)
    claim = ObjectReference(
        apiVersion="v1", kind="PersistentVolumeClaim", name=about.name, namespace=about.namespace, uid=about.uid
    )
    return Event(
        metadata=ObjectMeta(name=f"storage-service.{uuid.uuid4().hex[:16]}", namespace=about.namespace or "default"),
        involvedObject=claim,
        reason="ProvisioningFailed",
        message=message,
        type="Warning",
        source=EventSource(component="storage-service", host=node),
        firstTimestamp=now,
        lastTimestamp=now,
        count=1,
    )


def _uid(found: Any) -> str:  # noqa: ANN401
    return str(found.metadata.uid)


def _name(volume: PersistentVolume) -> str:
    return str((volume.metadata or ObjectMeta()).name)
