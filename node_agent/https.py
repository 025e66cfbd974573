# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Asking the servers of a control plane: JSON over HTTP/1.1 and TLS 1.3, with a client certificate.

    async with connect("10.213.0.1", 6443, tls=tls, who="API server") as connection:
        listing = await connection.get("/api/v1/nodes?limit=100")
        async for event in connection.lines("/api/v1/nodes?watch=true"):
            ...

On `h11`, because a client of Kubernetes would take more memory than the whole agent: 0.3 MiB against 43.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import h11

from node_agent.errors import TemporaryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

CONNECTING: Final = 30.0  # seconds; a handshake takes some in an emulated machine
SILENCE: Final = 120.0  # seconds; a watch says something within one minute, if only its end
LARGEST: Final = 32 * 1024 * 1024  # bytes of an answer, and of a line of one

_CHUNK: Final = 64 * 1024


class RefusedError(TemporaryError):
    """The server says no.

    Args:
        message: what it said.
        status: of HTTP.
        hint: what to look at.
    """

    def __init__(self, message: str, status: int, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


@asynccontextmanager
async def connect(host: str, port: int, *, tls: ssl.SSLContext, who: str, hint: str = "") -> AsyncIterator[Connection]:
    """Connect.

    Args:
        host: name or address.
        port: TCP port.
        tls: see `client_tls`.
        who: begins what errors say.
        hint: what to look at when the server says no.

    Raises:
        TemporaryError: nobody answers who is vouched for.
    """
    try:
        async with asyncio.timeout(CONNECTING):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    except (OSError, TimeoutError) as error:  # what TLS refuses is an OSError
        raise TemporaryError(f"{who}: cannot connect: {str(error) or 'no answer'}") from None
    try:
        yield Connection(reader, writer, host=f"{host}:{port}", who=who, hint=hint)
    finally:
        writer.transport.abort()


def client_tls(authority: str, certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """Trust one authority alone, and show a certificate.

    Args:
        authority: certificates, PEM.
        certificate: file, PEM.
        key: its file, PEM; None if it is in the same.

    Raises:
        OSError: a file is missing, or nothing that TLS takes.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_verify_locations(cadata=authority)
    tls.load_cert_chain(certificate, key)
    return tls


class Connection:
    """One connection; requests come one after the other."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, host: str, who: str, hint: str = ""
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host
        self._who = who
        self._hint = hint
        self._http = h11.Connection(h11.CLIENT)

    async def get(self, target: str) -> dict[str, Any]:
        """Give an object.

        Args:
            target: path and query.

        Raises:
            RefusedError: the server says no.
            TemporaryError: the connection broke, or the answer is no object.
        """
        return await self._object_of("GET", target)

    async def post(self, target: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Send an object, and give the one that comes back.

        Args:
            target: path and query.
            record: what to send, as JSON.

        Raises:
            RefusedError: the server says no.
            TemporaryError: as `get`.
        """
        return await self._object_of("POST", target, json.dumps(record).encode(), "application/json")

    async def apply(self, target: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Have Kubernetes make an object, or make it what it should be: server-side apply.

        Args:
            target: path of the object, and query.
            record: the object.

        Raises:
            RefusedError: the server says no.
            TemporaryError: as `get`.
        """
        return await self._object_of("PATCH", target, json.dumps(record).encode(), "application/apply-patch+yaml")

    async def lines(self, target: str) -> AsyncIterator[dict[str, Any]]:
        """Give the objects of an answer as they come, one a line, until the server ends it.

        Args:
            target: path and query.

        Raises:
            RefusedError: the server says no.
            TemporaryError: the connection broke or was silent for too long, or a line is no object.
        """
        rest = b""
        async for chunk in self._request("GET", target):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield self._object(line)
            if len(rest) > LARGEST:
                raise TemporaryError(f"{self._who}: expected at most {LARGEST} bytes a line, got more")
        if rest:
            yield self._object(rest)

    async def _object_of(self, method: str, target: str, content: bytes = b"", form: str = "") -> dict[str, Any]:
        body = bytearray()
        async for chunk in self._request(method, target, content, form):
            body += chunk
            if len(body) > LARGEST:
                raise TemporaryError(f"{self._who}: expected at most {LARGEST} bytes of {target}, got more")
        return self._object(bytes(body))

    async def _request(self, method: str, target: str, content: bytes = b"", form: str = "") -> AsyncIterator[bytes]:
        """Send a request and give the body of a good answer, piece by piece."""
        headers = [("Host", self._host), ("Accept", "application/json"), ("User-Agent", "constellation-node-agent")]
        if content:
            headers += [("Content-Type", form), ("Content-Length", str(len(content)))]
        try:
            self._send(h11.Request(method=method, target=target, headers=headers))
            if content:
                self._send(h11.Data(content))
            self._send(h11.EndOfMessage())
            response = await self._event()
            if not isinstance(response, h11.Response):
                raise TemporaryError(f"{self._who}: it ended the connection")
            if response.status_code not in (200, 201):  # OK, Created
                reason, status = await self._reason(response.status_code), response.status_code
                raise RefusedError(reason, status, hint=self._hint)
            while isinstance(event := await self._event(), h11.Data):
                yield bytes(event.data)
            self._http.start_next_cycle()
        except h11.ProtocolError as error:
            raise TemporaryError(f"{self._who}: {error}") from None
        except OSError as error:
            raise TemporaryError(f"{self._who}: {str(error) or 'the connection broke'}") from None

    def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _reason(self, status: int) -> str:
        """Say what the server says: Kubernetes and etcd describe an error in an object with a message."""
        said = bytearray()
        while len(said) < LARGEST and isinstance(event := await self._event(), h11.Data):
            said += event.data
        try:
            return f"{self._who}: {json.loads(said)['message']!s:.500}"
        except (ValueError, KeyError, TypeError):
            return f"{self._who}: status {status}"

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            try:
                async with asyncio.timeout(SILENCE):
                    data = await self._reader.read(_CHUNK)
            except TimeoutError:
                raise TemporaryError(f"{self._who}: nothing for {SILENCE:g} s") from None
            self._http.receive_data(data)

    def _object(self, text: bytes) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TemporaryError(f"{self._who}: expected a JSON object, got {text[:80]!r}")
        return found
