# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The client side of the attested channel."""

# ruff: noqa: ASYNC109 - the timeout of a connection is part of what it is

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from constellation_core.channel.binding import VERSION
from constellation_core.channel.exchange import meet_server
from constellation_core.channel.http2 import CONFIGURATION
from constellation_core.channel.stream import FrameStream
from constellation_core.channel.tls import client_context
from constellation_core.channel.workers import Workers
from constellation_core.errors import InsecureConnectionError, PeerUnavailableError
from constellation_core.grpc_channel import EndingChannel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from grpclib.protocol import H2Protocol

    from attestation.issuer import Issuer
    from attestation.verdict import Verdict
    from constellation_core.channel.verifier import Verifier

DEFAULT_TIMEOUT: Final = 30.0  # seconds for everything up to the verdict
CONNECTION_TIMEOUT: Final = 5.0
"""Seconds for a TCP connection. Kernels answer for busy programs, so who is silent is not there; and who waits longer
sees later that somebody came, because packets that begin a connection are repeated ever more seldom (RFC 6298)."""


class AttestedChannel(EndingChannel):
    """A gRPC channel to one peer that was attested.

    Attributes:
        verdict: what we think of the peer: accepted.
    """

    verdict: Verdict

    def __init__(self, host: str, port: int, stream: FrameStream, verdict: Verdict) -> None:
        super().__init__(host, port, config=CONFIGURATION)
        self.verdict = verdict
        self._protocol = self._protocol_factory()
        stream.hand_over(self._protocol)

    async def _create_connection(self) -> H2Protocol:
        """Refuse to connect again: another connection would need another exchange."""
        raise PeerUnavailableError("the attested connection is closed", hint="make another attested channel")


@asynccontextmanager
async def attested_channel(
    host: str,
    port: int,
    *,
    verifier: Verifier,
    issuer: Issuer | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> AsyncIterator[AttestedChannel]:
    """Connect, attest the server, and attest ourselves if it demands that.

    Args:
        host: name or address of the server; evidence is its identity, not the name.
        port: its TCP port.
        verifier: who judges its evidence.
        issuer: what makes ours; None where we have none.
        timeout: seconds for everything up to the verdict.

    Raises:
        PeerNotAcceptedError: we do not accept the server.
        RefusedError: the server does not accept us.
        InsecureConnectionError: the connection is not what the protocol demands.
        PeerUnavailableError: it cannot be reached, is busy or went away: try again.
        AttestationError: our own device failed.
    """
    workers = Workers(issuer, verifier, own_threads=False)
    stream = FrameStream()
    try:
        channel = await _connect(host, port, stream, workers, timeout)
    except BaseException:
        await stream.end()
        raise
    try:
        yield channel
    finally:
        await channel.end()


async def _connect(host: str, port: int, stream: FrameStream, workers: Workers, timeout: float) -> AttestedChannel:
    where, context = f"{host}:{port}", client_context()
    try:
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().create_connection(
                lambda: stream,
                sock=await _reach(host, port),
                ssl=context,
                server_hostname="",
                ssl_handshake_timeout=timeout,
            )
            verdict = await meet_server(stream, workers)
    except TimeoutError:
        raise PeerUnavailableError(
            f"{where}: no attested connection within {timeout:g} s", hint="is it the right port, and is the peer busy?"
        ) from None
    except ssl.SSLError as error:
        raise InsecureConnectionError(
            f"{where}: no TLS as {VERSION} demands it: {error}", hint="is it the right port?"
        ) from None
    except OSError as error:
        reason = str(error) or "the peer hung up during the TLS handshake"
        raise PeerUnavailableError(f"{where}: {reason}", hint="is the peer up, and the port open?") from None
    return AttestedChannel(host, port, stream, verdict)


async def _reach(host: str, port: int) -> socket.socket:
    """Connect to the first address that answers."""
    loop = asyncio.get_running_loop()
    failure = OSError("it has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with ExitStack() as closing:
            made = closing.enter_context(socket.socket(family, kind, protocol))
            made.settimeout(0)
            try:
                async with asyncio.timeout(CONNECTION_TIMEOUT):
                    await loop.sock_connect(made, address)
            except TimeoutError:
                failure = OSError(f"nobody answered within {CONNECTION_TIMEOUT:g} s")
            except OSError as error:
                failure = error
            else:
                closing.pop_all()
                return made
    try:
        raise failure
    finally:
        del failure  # it knows this frame
