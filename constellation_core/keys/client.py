# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Client of the key service: TLS 1.3, the server proved by the cluster's authority, the caller by its projected token.

    async with KeyServiceClient(KEY_SERVICE_HOST, KEY_SERVICE_PORT, ca_file, token_file) as keys:
        key = await keys.data_key(state_disk(uuid), 32)

On grpclib, because its users keep their memory small. One connection carries every request.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
from typing import TYPE_CHECKING, Final, Self

from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from h2.exceptions import ProtocolError as Http2Error

from constellation_core.errors import KeyProviderError, KeyProviderUnavailableError
from constellation_core.grpc_channel import EndingChannel
from constellation_core.keys.provider import check_length
from constellation_core.keys.secret import Secret
from constellation_core.names import KEY_SERVICE_AUDIENCE, KEY_SERVICE_HOST
from constellation_proto.keys_grpc import KeysStub
from constellation_proto.keys_pb2 import GetDataKeyRequest, GetDataKeyResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

TIMEOUT: Final = 20.0  # seconds for a key, every attempt together
ATTEMPT_TIMEOUT: Final = 5.0
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
RETRY_AFTER: Final = "grpc-retry-pushback-ms"
"""Trailer in which a server says when to come back (gRPC proposal A6)."""
_MILLISECONDS: Final = re.compile(r"[0-9]{1,9}")

HINTS: Final = {
    Status.PERMISSION_DENIED: "each service account may ask for its own class of keys, and for no other",
    Status.UNAUTHENTICATED: f"the token must be a projected one of audience {KEY_SERVICE_AUDIENCE}, of a running pod",
}


class KeyServiceClient:
    """Asks the key service for keys; a `KeyProvider`, used with `async with`.

    Args:
        host: where it is.
        port: where it is.
        ca_file: certificate of the cluster's authority, PEM; read at every new connection.
        token_file: projected service-account token; read at every request, because it is replaced before it expires.
        server_name: name that the server's certificate must have.
        timeout: seconds for one key, with every attempt.
    """

    def __init__(
        self,
        host: str,
        port: int,
        ca_file: Path,
        token_file: Path,
        *,
        server_name: str = KEY_SERVICE_HOST,
        timeout: float = TIMEOUT,
    ) -> None:
        self._host = host
        self._port = port
        self._ca_file = ca_file
        self._token_file = token_file
        self._config = Configuration(ssl_target_name_override=server_name)
        self._timeout = timeout
        self._channel: EndingChannel | None = None
        logging.getLogger("hpack").setLevel(logging.INFO)  # below that it writes headers down, and the token is in them

    async def __aenter__(self) -> Self:
        """Begin; the connection is made for the first request."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection."""
        if self._channel is not None:
            await self._channel.end()

    async def data_key(self, key_id: str, length: int) -> Secret:
        """Give the key of an id, as `KeyProvider` says; an unavailable service is asked again until the timeout."""
        check_length(length)
        request = GetDataKeyRequest(id=key_id, length=length)
        now, pauses = asyncio.get_running_loop().time, _pauses()
        deadline = now() + self._timeout
        while True:
            try:
                return await self._attempt(request, min(ATTEMPT_TIMEOUT, deadline - now()))
            except KeyProviderUnavailableError as error:
                wait = max(next(pauses), error.retry_after)
                if now() + wait >= deadline:
                    raise
            await asyncio.sleep(wait)

    async def _attempt(self, request: GetDataKeyRequest, timeout: float) -> Secret:  # noqa: ASYNC109 - only passed on
        token, channel = self._token(), self._connected()
        try:
            async with asyncio.timeout(timeout):
                return await _ask(channel, request, {"authorization": f"Bearer {token}"})
        except ssl.SSLCertVerificationError as error:
            await self._disconnect(channel)
            raise KeyProviderError(
                f"{self._host}:{self._port} is not the key service of this cluster: {error.verify_message}",
                hint=f"its certificate must be by {self._ca_file} and for {self._config.ssl_target_name_override}",
            ) from None
        except (OSError, StreamTerminatedError, ProtocolError, Http2Error) as error:
            await self._disconnect(channel)
            reason = str(error) or type(error).__name__
            raise KeyProviderUnavailableError(f"the key service at {self._host}:{self._port}: {reason}") from None

    def _token(self) -> str:
        try:
            return self._token_file.read_text("ascii").strip()
        except (OSError, ValueError) as error:
            raise KeyProviderError(
                f"cannot read the token {self._token_file}: {error}",
                hint=f"mount a projected service-account token of audience {KEY_SERVICE_AUDIENCE}",
            ) from None

    def _connected(self) -> EndingChannel:
        if self._channel is None:
            self._channel = EndingChannel(self._host, self._port, ssl=_tls(self._ca_file), config=self._config)
        return self._channel

    async def _disconnect(self, channel: EndingChannel) -> None:
        """Close a connection that failed; the next request makes a new one."""
        if channel is self._channel:
            self._channel = None
            await channel.end(goodbye=0.0)


async def _ask(channel: EndingChannel, request: GetDataKeyRequest, metadata: Mapping[str, str]) -> Secret:
    stream = KeysStub(channel).GetDataKey.open(metadata=metadata)
    try:
        async with stream:
            await stream.send_message(request, end=True)
            return _key(await stream.recv_message(), request.length)
    except GRPCError as error:
        raise _refusal(error, stream.trailing_metadata) from None


def _key(answer: GetDataKeyResponse | None, length: int) -> Secret:
    if answer is None or len(answer.key) != length:
        del answer  # a traceback that shows local variables would show it
        raise KeyProviderError(f"the key service did not answer with a key of {length} bytes")
    return Secret(answer.key)


def _refusal(error: GRPCError, trailers: Mapping[str, object] | None) -> KeyProviderError:
    message = f"the key service answered {error.status.name}: {error.message}"
    if error.status is Status.UNAVAILABLE or error.status is Status.RESOURCE_EXHAUSTED:
        return KeyProviderUnavailableError(message, retry_after=_retry_after(trailers or {}))
    return KeyProviderError(message, hint=HINTS.get(error.status, ""))


def _retry_after(trailers: Mapping[str, object]) -> float:
    said = str(trailers.get(RETRY_AFTER, ""))
    return min(int(said) / 1000, LONGEST_PAUSE) if _MILLISECONDS.fullmatch(said) else 0.0


def _pauses() -> Iterator[float]:
    """Give ever longer pauses, each by chance a little different: a thousand clients do not come back at once."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.5)  # noqa: S311 - nothing depends on nobody guessing it
        pause = min(2 * pause, LONGEST_PAUSE)


def _tls(ca_file: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise KeyProviderError(
            f"cannot read the cluster's authority {ca_file}: {error.strerror or error}", hint="it is a PEM file"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    return context
