# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An API server for what a real one seldom does: it falls silent, breaks off, forgets, and says anything.

    server.put("/api/v1/nodes", node)
    server.silent = True
    server.status = 500

It speaks HTTP/1.1 over TLS, lists in pages and watches, on loopback or inside of a network namespace.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_GONE: Final = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}


@dataclass(slots=True)
class FakeApiServer:
    """Keeps objects and says what changes.

    Attributes:
        status: of every answer.
        silent: a watch says nothing, and does not end.
        forgetful: a watch says that it knows nothing of so long ago.
        bookmarks: a watch begins with a bookmark.
        page: objects of one page.
        requests: targets of all requests.
    """

    status: int = 200
    silent: bool = False
    forgetful: bool = False
    bookmarks: bool = False
    page: int = 100
    requests: list[str] = field(default_factory=list)
    _objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    _watches: list[tuple[str, asyncio.Queue[dict[str, Any] | None]]] = field(default_factory=list)
    _past: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def put(self, path: str, found: dict[str, Any]) -> None:
        """Make or replace an object."""
        collection = self._objects.setdefault(path, {})
        name = found["metadata"]["name"]
        kind = "MODIFIED" if name in collection else "ADDED"
        collection[name] = found
        self._tell(path, {"type": kind, "object": found})

    def delete(self, path: str, name: str) -> None:
        """Delete an object."""
        self._tell(path, {"type": "DELETED", "object": self._objects[path].pop(name)})

    def end_watches(self) -> None:
        """End what is being watched, as an API server does after some minutes."""
        for _, events in self._watches:
            events.put_nowait(None)

    def _tell(self, path: str, event: dict[str, Any]) -> None:
        self._past.append((path, event))
        event["object"]["metadata"]["resourceVersion"] = str(len(self._past))
        for watched, events in self._watches:
            if watched == path:
                events.put_nowait(event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until it ends."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split()[1].decode()
                self.requests.append(target)
                await self._answer(target, writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test ends
        finally:
            writer.transport.abort()

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.status != 200:
            _write(writer, self.status, {"kind": "Status", "message": f"it is {self.status}"})
        elif "watch" in query:
            await self._watch(url.path, int(query["resourceVersion"]), writer)
        else:
            self._list(url.path, int(query.get("continue", 0)), writer)

    def _list(self, path: str, start: int, writer: asyncio.StreamWriter) -> None:
        found = list(self._objects.get(path, {}).values())
        end = start + self.page
        metadata = {"resourceVersion": str(len(self._past)), **({"continue": str(end)} if end < len(found) else {})}
        _write(writer, 200, {"kind": "List", "metadata": metadata, "items": found[start:end]})

    async def _watch(self, path: str, version: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._watches.append((path, events))
        for changed, event in self._past[version:]:
            if changed == path:
                events.put_nowait(event)
        if self.forgetful:
            events.put_nowait(_GONE)
        if self.bookmarks:
            events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}})
        while (one := await events.get()) is not None:
            if not self.silent:
                _write_chunk(writer, json.dumps(one).encode() + b"\n")
                await writer.drain()
        writer.write(b"0\r\n\r\n")


def _write(writer: asyncio.StreamWriter, status: int, record: dict[str, Any]) -> None:
    body = json.dumps(record).encode()
    writer.write(f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def _write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


@dataclass(frozen=True, slots=True)
class Kubelet:
    """Files of a kubelet, and the server that they lead to."""

    server: FakeApiServer
    kubeconfig: Path
    certificate: Path


@asynccontextmanager
async def kubelet_of_fake_server(folder: Path) -> AsyncIterator[Kubelet]:
    """Run one, and write the files of a kubelet that may use it."""
    server, certificate = FakeApiServer(), folder / "kubelet-client-current.pem"
    authority = certify(certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.load_verify_locations(cadata=authority.decode())
    tls.verify_mode = ssl.CERT_REQUIRED
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    data = base64.b64encode(authority).decode()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": data}
    kubeconfig = folder / "kubelet.conf"
    kubeconfig.write_text(json.dumps({"clusters": [{"name": "default", "cluster": cluster}]}))
    try:
        yield Kubelet(server, kubeconfig, certificate)
    finally:
        listening.close()
        server.end_watches()


def certify(path: Path) -> bytes:
    """Write a key and a certificate that are server, client and authority at once; give the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )
    path.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate
