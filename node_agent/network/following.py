# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Following one kind of objects: list, watch, list again now and then, and prove that one still sees.

A watch can go quiet without an error. So each watch ends after a minute: that the API server ends it, as it was asked
to, proves that it is there. A connection that says nothing for `SILENCE` is given up, and `missing` says so to whoever
wants to rely on what we know. What was read last stays until something better was read: an error is never an empty
list.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from node_agent.errors import TemporaryError
from node_agent.https import SILENCE, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node_agent.https import Connection
    from node_agent.network.api_server import ApiServer

WATCH: Final = 60  # seconds that one watch lasts; the API server ends it
SHORTEST: Final = 0.5  # seconds that one watch lasts at least, whatever the API server does
RESYNC: Final = 600.0  # seconds after which everything is read again, over a new connection
STALE: Final = SILENCE + 60.0  # seconds after which what we know is not worth believing
PAGE: Final = 100  # objects
PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between attempts that fail

_LOG: Final = logging.getLogger(__name__)

_Record = TypeVar("_Record")


class Follower(Generic[_Record]):
    """Keeps what matters of the objects of one kind at hand.

    Args:
        server: where they are.
        path: of the collection: "/api/v1/nodes".
        read: makes a record of an object, or raises ValueError: then the object is left out.
        changed: called in the event loop after everything was read, and after every change.
    """

    def __init__(
        self, server: ApiServer, path: str, read: Callable[[Mapping[str, Any]], _Record], changed: Callable[[], None]
    ) -> None:
        self._server = server
        self._path = path
        self._read = read
        self._changed = changed
        self._records: dict[str, _Record] | None = None
        self._last: float | None = None
        self._error = "not yet"

    @property
    def records(self) -> list[_Record] | None:
        """What was read last; None before anything was."""
        return None if self._records is None else list(self._records.values())

    @property
    def missing(self) -> str | None:
        """Why what we know is not worth believing; None if it is."""
        if self._last is None:
            return f"{self._path} was never read: {self._error}"
        age = asyncio.get_running_loop().time() - self._last
        return f"{self._path}: nothing heard for {age:.0f} s: {self._error}" if age >= STALE else None

    async def run(self) -> None:
        """Follow until cancelled, whatever the API server does."""
        failures = 0
        while True:
            began = self._last
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001 - whoever follows must not stop, and nobody would notice
                failures = failures + 1 if self._last == began else 1
                pause = PAUSES[min(failures, len(PAUSES)) - 1]
                self._note(error, pause)
                await asyncio.sleep(pause)

    async def _follow(self) -> None:
        now = asyncio.get_running_loop().time
        async with self._server.connection() as connection:
            version = await self._list(connection)
            end = now() + RESYNC
            while (began := now()) < end:
                version = await self._watch(connection, version)  # what is too old is an error: it is read again
                if now() - began < SHORTEST:
                    await asyncio.sleep(SHORTEST)  # an API server that ends watches at once is in trouble

    async def _list(self, connection: Connection) -> str:
        """Read all, and give the version of it."""
        records: dict[str, _Record] = {}
        page = await connection.get(f"{self._path}?limit={PAGE}")
        while True:
            for found in page.get("items") or ():
                self._put(records, found)
            metadata = page.get("metadata") or {}
            if not (further := metadata.get("continue")):
                break
            page = await connection.get(f"{self._path}?limit={PAGE}&continue={further}")
        self._take(records)
        return str(metadata.get("resourceVersion", ""))

    async def _watch(self, connection: Connection, version: str) -> str:
        """See changes until the API server ends the watch, and give the version of the last one."""
        target = f"{self._path}?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH}&resourceVersion={version}"
        async for event in connection.lines(target):
            found = event.get("object")
            if not isinstance(found, dict) or event.get("type") == "ERROR":
                raise _refusal(found)
            version = (found.get("metadata") or {}).get("resourceVersion", version)
            self._see(str(event.get("type")), found)
        self._heard()
        return version

    def _see(self, kind: str, found: dict[str, Any]) -> None:
        if kind == "BOOKMARK":
            self._heard()
            return
        records = dict(self._records or {})
        if kind == "DELETED":
            records.pop(_name(found), None)
        else:
            self._put(records, found)
        self._take(records)

    def _put(self, records: dict[str, _Record], found: dict[str, Any]) -> None:
        try:
            records[_name(found)] = self._read(found)
        except ValueError as error:
            records.pop(_name(found), None)
            _LOG.warning("%s %r: left out: %s", self._path, _name(found), error)

    def _take(self, records: dict[str, _Record]) -> None:
        news = records != self._records
        self._records = records
        self._heard()
        if news:
            self._changed()

    def _heard(self) -> None:
        self._last = asyncio.get_running_loop().time()

    def _note(self, error: Exception, pause: float) -> None:
        self._error = str(error) or type(error).__name__
        bug = not isinstance(error, TemporaryError)
        _LOG.warning("cannot follow %s: %s; again in %g s", self._path, self._error, pause, exc_info=bug)


def _name(found: Mapping[str, Any]) -> str:
    metadata = found.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _refusal(found: Any) -> RefusedError:  # noqa: ANN401 - whatever JSON gives
    status = found if isinstance(found, dict) else {}
    code = status.get("code")
    return RefusedError(f"API server: {status.get('message', 'an error')!s:.500}", code if isinstance(code, int) else 0)
