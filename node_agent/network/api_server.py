# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reading from the API server with the kubelet's own client certificate: list and watch, over HTTP/1.1 and TLS 1.3.

    async with ApiServer(kubeconfig, certificate).connection() as connection:
        listing = await connection.get("/api/v1/nodes?limit=100")
        async for event in connection.lines("/api/v1/nodes?watch=true"):
            ...

On `h11`, because a client of Kubernetes would take more memory than the whole agent: 0.3 MiB against 43.
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import h11
import yaml

from node_agent.errors import TemporaryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECTING: Final = 30.0  # seconds; a handshake takes some in an emulated machine
SILENCE: Final = 120.0  # seconds; a watch says something within one minute, if only its end
LARGEST: Final = 32 * 1024 * 1024  # bytes of an answer, and of a line of one

_CHUNK: Final = 64 * 1024


class RefusedError(TemporaryError):
    """The API server says no.

    Args:
        message: what it said.
        status: of HTTP.
    """

    def __init__(self, message: str, status: int) -> None:
        hint = "may the group system:nodes read it?" if status in {401, 403} else ""
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True, slots=True)
class Address:
    """Where an API server is, and who vouches for it.

    Attributes:
        host: name or address.
        port: TCP port.
        authority: certificates, PEM.
    """

    host: str
    port: int
    authority: str


class ApiServer:
    """Where to read, and as whom. Files are read anew at every connection.

    Args:
        kubeconfig: of the kubelet; address of the API server, and the authority of its certificate.
        certificate: of the kubelet, with its key.
    """

    def __init__(self, kubeconfig: Path, certificate: Path) -> None:
        self._kubeconfig = kubeconfig
        self._certificate = certificate

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Connect.

        Raises:
            TemporaryError: files are missing or broken, or nobody answers who is vouched for.
        """
        try:
            address = read_address(self._kubeconfig)
            tls = _client_tls(address, self._certificate)
            async with asyncio.timeout(CONNECTING):
                reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls)
        except (OSError, TimeoutError) as error:  # what TLS refuses is an OSError
            raise TemporaryError(f"cannot connect to the API server: {str(error) or 'no answer'}") from None
        try:
            yield Connection(reader, writer, address)
        finally:
            writer.transport.abort()


class Connection:
    """One connection; requests come one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address) -> None:
        self._reader = reader
        self._writer = writer
        self._host = f"{address.host}:{address.port}"
        self._http = h11.Connection(h11.CLIENT)

    async def get(self, target: str) -> dict[str, Any]:
        """Give an object.

        Args:
            target: path and query.

        Raises:
            RefusedError: the API server says no.
            TemporaryError: the connection broke, or the answer is no object.
        """
        body = bytearray()
        async for chunk in self._request(target):
            body += chunk
            if len(body) > LARGEST:
                raise TemporaryError(f"API server: expected at most {LARGEST} bytes of {target}, got more")
        return _object(bytes(body))

    async def lines(self, target: str) -> AsyncIterator[dict[str, Any]]:
        """Give the objects of an answer as they come, one a line, until the API server ends it.

        Args:
            target: path and query.

        Raises:
            RefusedError: the API server says no.
            TemporaryError: the connection broke or was silent for too long, or a line is no object.
        """
        rest = b""
        async for chunk in self._request(target):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield _object(line)
            if len(rest) > LARGEST:
                raise TemporaryError(f"API server: expected at most {LARGEST} bytes a line, got more")
        if rest:
            yield _object(rest)

    async def _request(self, target: str) -> AsyncIterator[bytes]:
        """Send a request and give the body of a good answer, piece by piece."""
        headers = [("Host", self._host), ("Accept", "application/json"), ("User-Agent", "constellation-node-agent")]
        try:
            request = self._http.send(h11.Request(method="GET", target=target, headers=headers))
            self._writer.write((request or b"") + (self._http.send(h11.EndOfMessage()) or b""))
            response = await self._event()
            if not isinstance(response, h11.Response):
                raise TemporaryError("API server: it ended the connection")
            if response.status_code != 200:  # noqa: PLR2004 - OK
                raise RefusedError(await self._reason(response.status_code), response.status_code)
            while isinstance(event := await self._event(), h11.Data):
                yield bytes(event.data)
            self._http.start_next_cycle()
        except h11.ProtocolError as error:
            raise TemporaryError(f"API server: {error}") from None
        except OSError as error:
            raise TemporaryError(f"API server: {str(error) or 'the connection broke'}") from None

    async def _reason(self, status: int) -> str:
        """Say what the API server says; it describes itself in an object of kind Status."""
        event = await self._event()
        said = bytes(event.data) if isinstance(event, h11.Data) else b""
        try:
            return f"API server: {json.loads(said)['message']!s:.500}"
        except (ValueError, KeyError, TypeError):
            return f"API server: status {status}"

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            try:
                async with asyncio.timeout(SILENCE):
                    data = await self._reader.read(_CHUNK)
            except TimeoutError:
                raise TemporaryError(f"API server: nothing for {SILENCE:g} s") from None
            self._http.receive_data(data)


def read_address(kubeconfig: Path) -> Address:
    """Read where the API server is.

    Raises:
        TemporaryError: the file is not there, yet, or it is no kubeconfig.
    """
    try:
        record = yaml.safe_load(kubeconfig.read_text())
        cluster = record["clusters"][0]["cluster"]
        url = urlsplit(cluster["server"])
        authority = _authority(cluster)
        port = url.port or 443
    except OSError as error:
        raise TemporaryError(f"cannot read {error.filename}: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, IndexError, TypeError, AttributeError, ValueError, binascii.Error):
        raise TemporaryError(f"{kubeconfig}: expected a kubeconfig with a cluster, got something else") from None
    if url.scheme != "https" or not url.hostname:
        raise TemporaryError(f"{kubeconfig}: expected an https server, got {cluster['server']!r:.200}")
    return Address(url.hostname, port, authority)


def _authority(cluster: dict[str, str]) -> str:
    if "certificate-authority" in cluster:
        return Path(cluster["certificate-authority"]).read_text()
    return base64.b64decode(cluster["certificate-authority-data"], validate=True).decode()


def _client_tls(address: Address, certificate: Path) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.load_verify_locations(cadata=address.authority)
    tls.load_cert_chain(certificate)
    return tls


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise TemporaryError(f"API server: expected a JSON object, got {text[:80]!r}")
    return found
