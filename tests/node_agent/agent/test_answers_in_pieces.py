# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a server refuses is said whole, in however many pieces it comes."""

from __future__ import annotations

import asyncio

import pytest

from node_agent.https import Connection, RefusedError

PIECES = (b'{"kind": "Status", "mess', b'age": "ConfigMap Up', b'per is invalid"}')


async def test_a_reason_in_pieces_is_said_whole() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 422 Unprocessable Entity\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.writelines(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in PIECES)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(RefusedError, match="API server: ConfigMap Upper is invalid"):
            await Connection(reader, writer, host="there", who="API server").get("/")
        writer.close()
        await writer.wait_closed()
