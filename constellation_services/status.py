# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a service tells those who watch it, over HTTP: is it alive, is it ready, what did it count.

| path | answer |
|---|---|
| `/healthz` | 200: the event loop turns |
| `/readyz` | 200, or 503 while it must not be sent requests: it starts, drains or cannot serve |
| `/metrics` | Prometheus text format |
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import CollectorRegistry


@asynccontextmanager
async def status_server(
    host: str, port: int, registry: CollectorRegistry, is_ready: Callable[[], bool]
) -> AsyncIterator[int]:
    """Answer those who watch, for as long as the block runs.

    Args:
        host: address to listen on; empty for all.
        port: to listen on; 0 for any that is free.
        registry: what was counted.
        is_ready: tells whether the service may be sent requests.

    Yields:
        The port.

    Raises:
        OSError: the port is taken.
    """
    application = web.Application()
    application.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/readyz", lambda _: _readyz(is_ready)),
            web.get("/metrics", lambda _: _metrics(registry)),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host or None, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _readyz(is_ready: Callable[[], bool]) -> web.Response:
    return web.Response(text="ready\n") if is_ready() else web.Response(status=503, text="not ready\n")


async def _metrics(registry: CollectorRegistry) -> web.Response:
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
