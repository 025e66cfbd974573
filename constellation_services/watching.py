# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Following objects of the API server: read them, watch them, and prove that one still sees.

A watch can go quiet without an error. So each watch ends after half a minute and begins with reading again; whoever
follows can ask how long ago the last good reading was.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx2
from lightkube import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lightkube import AsyncClient

WATCH: Final = 30  # seconds that one watch lasts
STALE: Final = 3 * WATCH  # seconds after which what we know is not worth believing
CHUNK: Final = 100  # objects; to read more at once would block the event loop
TEMPORARY: Final = (ApiError, httpx2.HTTPError, OSError)
"""What may go wrong between us and the API server."""

_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts that fail

_LOG: Final = logging.getLogger(__name__)


def _name(found: Any) -> str:  # noqa: ANN401
    return str(found.metadata.name)


class Follower:
    """Keeps the objects of one kind at hand.

    Args:
        client: of the API server.
        kind: lightkube's class of the objects.
        changed: called in the event loop with all objects, by key, at first and after every change.
        namespace: of the objects; None for cluster-scoped ones.
        name: of the only object that matters; None for all.
        key: what tells objects apart, where names do not: in all namespaces.
    """

    def __init__(
        self,
        client: AsyncClient,
        kind: Any,  # noqa: ANN401 - lightkube has no common type of its classes
        changed: Callable[[Mapping[str, Any]], None],
        *,
        namespace: str | None = None,
        name: str | None = None,
        key: Callable[[Any], str] = _name,
    ) -> None:
        self._key = key
        self._client = client
        self._kind = kind
        self._changed = changed
        self._where: dict[str, Any] = {"namespace": namespace} if namespace is not None else {}
        if name is not None:
            self._where["fields"] = {"metadata.name": name}
        self._objects: dict[str, Any] = {}
        self._last: float | None = None
        self._error = "not yet"

    @property
    def missing(self) -> str | None:
        """Why what we know is not worth believing; None if it is."""
        if self._last is None:
            return f"never read: {self._error}"
        age = asyncio.get_running_loop().time() - self._last
        return f"last read {age:.0f} s ago: {self._error}" if age >= STALE else None

    async def run(self) -> None:
        """Follow until cancelled, whatever the API server does."""
        failures = 0
        while True:
            try:
                await self._follow()
                failures = 0
            except Exception as error:  # noqa: BLE001 - whoever follows must not stop, and nobody would notice
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                self._error = str(error) or type(error).__name__
                what, bug = self._kind.__name__, not isinstance(error, TEMPORARY)
                _LOG.warning("cannot follow %s: %s; again in %g s", what, self._error, pause, exc_info=bug)
                await asyncio.sleep(pause)

    async def _follow(self) -> None:
        listing = self._client.list(self._kind, chunk_size=CHUNK, **self._where)
        self._take({self._key(found): self._known(found) async for found in listing})
        version = listing.resourceVersion
        watch = self._client.watch(
            self._kind, resource_version=version, server_timeout=math.ceil(2 * WATCH), **self._where
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH):
                async for event, found in watch:
                    self._see(event, found)

    def _known(self, found: Any) -> Any:  # noqa: ANN401
        """Give the object that we have already if it is still the same, so that others need not read it again."""
        known = self._objects.get(self._key(found))
        same = known is not None and known.metadata.resourceVersion == found.metadata.resourceVersion
        return known if same else _slim(found)

    def _see(self, event: str, found: Any) -> None:  # noqa: ANN401
        objects = dict(self._objects)
        if event == "DELETED":
            objects.pop(self._key(found), None)
        else:
            objects[self._key(found)] = _slim(found)
        self._take(objects)

    def _take(self, objects: dict[str, Any]) -> None:
        self._changed(objects)
        self._objects = objects
        self._last = asyncio.get_running_loop().time()


def _slim(found: Any) -> Any:  # noqa: ANN401
    """Drop who wrote which field: more bytes than all the rest of a small object, and nothing that we read."""
    if isinstance(found, dict):
        found["metadata"].pop("managedFields", None)
    else:
        found.metadata.managedFields = None
    return found
