# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether somebody listens behind a forwarded port.

QEMU accepts every connection, and hangs up again where nobody listens inside. Everything that our nodes offer speaks
TLS, and who speaks TLS answers a ClientHello (RFC 8446, section 4.1.2), be it with an alert; so one byte is enough.
"""

# ruff: noqa: ASYNC109 - how long to wait for an answer is part of the question

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_TIMEOUT: Final = 3.0  # seconds; an emulated machine that works hard takes one
_LOOPBACK: Final = "127.0.0.1"


async def listening(ports: Iterable[int], *, timeout: float = DEFAULT_TIMEOUT) -> frozenset[int]:
    """Give those ports of 127.0.0.1 behind which somebody answers; all are asked side by side."""
    asked = tuple(dict.fromkeys(ports))
    answers = await asyncio.gather(*(_answers(port, timeout) for port in asked))
    return frozenset(port for port, answer in zip(asked, answers, strict=True) if answer)


async def _answers(port: int, timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(_LOOPBACK, port)
            try:
                writer.write(_client_hello())
                return bool(await reader.read(1))
            finally:
                writer.transport.abort()  # there is nothing more to say
    except (OSError, TimeoutError):
        return False


def _client_hello() -> bytes:
    """Begin a handshake that nobody will go on with; nothing is trusted, so nothing is checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()
