# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Making and deleting the volumes of one node.

Doing anything twice is doing it once: the folder is made before the volume is told of, and removed before that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from lightkube import ApiError
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event, PersistentVolume, PersistentVolumeClaim
from prometheus_client import Counter

from constellation_services.errors import VolumeRefusedError
from constellation_services.storage.claims import claims_to_serve, folder_of, size_of, volume_for, volumes_to_delete
from constellation_services.watching import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lightkube import AsyncClient
    from prometheus_client import CollectorRegistry

AGAIN: Final = 20.0  # seconds after which what failed is tried again
FOR_ANY_USER: Final = 0o777  # of a volume's folder: only the pods of its claim see it
_GONE_OR_THERE: Final = frozenset({404, 409})

_LOG: Final = logging.getLogger(__name__)


class Keeper:
    """Makes and deletes the volumes of one node.

    Args:
        node: its name.
        folder: where its volumes are.
        kubelet_folder: where the kubelet sees them.
        client: of the API server.
        registry: what is counted.
    """

    def __init__(
        self, node: str, folder: Path, kubelet_folder: Path, client: AsyncClient, registry: CollectorRegistry
    ) -> None:
        self._node, self._folder, self._kubelet_folder, self._client = node, folder, kubelet_folder, client
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


def _name(volume: PersistentVolume) -> str:
    return str((volume.metadata or ObjectMeta()).name)
