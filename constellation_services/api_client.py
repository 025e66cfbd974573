# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The client of the API server that services use: lightkube on aiohttp's HTTP.

lightkube's own HTTP client costs a millisecond of processor time a request, and more with each connection; a storm of
joining nodes makes thousands of requests. aiohttp, which our services have anyway, needs a quarter of that
(docs/performance.md).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx2
from lightkube import AsyncClient, KubeConfig
from lightkube.config.client_adapter import verify_cluster
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECTIONS: Final = 16  # at a time; requests beyond that wait


def api_client(configuration: KubeConfig, *, timeout: float) -> AsyncClient:
    """Make a client, for `async with`.

    Args:
        configuration: where the API server is, and who we are.
        timeout: seconds that it may take for an answer.
    """
    single = configuration.get()
    if single is None or single.user is None:
        message = "the configuration names no user of the API server"
        raise ValueError(message)
    tls = verify_cluster(single.cluster, single.user, single.abs_file, trust_env=False)
    if not isinstance(tls, ssl.SSLContext):
        message = "the configuration does not say by whom the API server is certified"
        raise TypeError(message)
    return AsyncClient(single, timeout=httpx2.Timeout(timeout), trust_env=False, transport=AiohttpTransport(tls))


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends the requests of an httpx client by aiohttp.

    Args:
        tls: how servers are verified, and who we are.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; the body of the answer is read as it comes.

        Raises:
            TransportError: as httpx has it.
        """
        body = await request.aread()
        limits = request.extensions.get("timeout", {})
        timeout = aiohttp.ClientTimeout(total=None, connect=limits.get("connect"), sock_read=limits.get("read"))
        try:
            answer = await self._sessions().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=body or None,
                allow_redirects=False,
                timeout=timeout,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _translated(error, request) from error
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.raw_headers]
        return httpx2.Response(answer.status, headers=headers, stream=_Body(answer, request), request=request)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _sessions(self) -> aiohttp.ClientSession:
        if self._session is None:  # it belongs to the event loop that runs now
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._tls)
            self._session = aiohttp.ClientSession(
                connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _translated(error, self._request) from error

    async def aclose(self) -> None:
        if self._answer.content.at_eof():
            self._answer.release()
            return
        connection = self._answer.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()  # to say goodbye would take until the server answers, and nobody waits for it
        self._answer.close()


def _translated(error: Exception, request: httpx2.Request) -> httpx2.TransportError:
    said = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx2.ConnectError(said, request=request)
    if isinstance(error, TimeoutError):
        return httpx2.ReadTimeout(said, request=request)
    return httpx2.ReadError(said, request=request)
