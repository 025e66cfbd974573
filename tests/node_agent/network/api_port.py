# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""API servers that do nothing but say whether they are ready, to whoever asks: over TLS, each in its own way.

async with api_port(listener) as port:
    port.answer = NOT_READY
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tests.node_agent.network.fake_api_server import certify

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

READY: Final = b"HTTP/1.0 200 OK\r\n\r\nok"
NOT_READY: Final = b"HTTP/1.0 500 Internal Server Error\r\n\r\n[-]etcd failed"


@dataclass(slots=True)
class ApiPort:
    """What a server answers.

    Attributes:
        answer: to every request; then the connection stays until the client ends it.
        asked: how many requests came.
    """

    answer: bytes = READY
    asked: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until it ends."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            writer.write(self.answer)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test ends
        finally:
            writer.transport.abort()


@asynccontextmanager
async def api_port(listener: socket.socket, answer: bytes = READY) -> AsyncIterator[ApiPort]:
    """Serve on a socket, wherever that is."""
    port = ApiPort(answer)
    server = await asyncio.start_server(port.serve, sock=listener, ssl=_tls())
    try:
        yield port
    finally:
        server.close()


@cache
def _tls() -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        certificate = Path(folder, "server.pem")
        certify(certificate)
        tls.load_cert_chain(certificate)
    return tls
