# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a service tells those who watch it, over HTTP: is it alive, is it ready, what did it count.

| path | answer |
|---|---|
| `/healthz` | 200: the event loop turns, and whatever must not stop has not stopped; else 503 |
| `/readyz` | 200, or 503 while it must not be sent requests: it starts, drains or cannot serve |
| `/metrics` | Prometheus text format |

The first two answer in JSON, and say of each condition what is missing: null where nothing is.

    {"ready": false, "conditions": {"join-config was read": "the API server does not answer"}}
"""

from __future__ import annotations

import asyncio
import inspect
import json
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, ProcessCollector, generate_latest

from constellation_services.http_server import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from prometheus_client import CollectorRegistry

    from constellation_core.conditions import Condition

CHECK_TIMEOUT: Final = 2.0  # seconds; a kubelet waits for five
GRACE: Final = 1.0  # seconds
BEAT: Final = 0.25  # seconds between two looks at how late the event loop is


@asynccontextmanager
async def status_server(
    host: str,
    port: int,
    registry: CollectorRegistry,
    ready: Sequence[Condition],
    *,
    alive: Sequence[Condition] = (),
) -> AsyncIterator[int]:
    """Answer those who watch, for as long as the block runs.

    Args:
        host: address to listen on; empty for all.
        port: to listen on; 0 for any that is free.
        registry: what was counted; what every process counts is added to it.
        ready: what must be true for the service to be sent requests.
        alive: what must be true for it to be worth keeping alive.

    Yields:
        The port.

    Raises:
        OSError: the port is taken.
    """
    ProcessCollector(registry=registry)
    server = HttpServer(
        {
            "/healthz": lambda _: _report("alive", alive),
            "/readyz": lambda _: _report("ready", ready),
            "/metrics": lambda _: _metrics(registry),
        }
    )
    heartbeat = asyncio.create_task(_measure_lag(registry))
    try:
        await server.start(host, port)
        yield server.port
    finally:
        heartbeat.cancel()
        await server.drain(GRACE)


async def _report(word: str, conditions: Sequence[Condition]) -> web.Response:
    said = {condition.name: await _ask(condition) for condition in conditions}
    good = not any(said.values())
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    body = json.dumps({word: good, "conditions": said}) + "\n"
    return web.Response(status=status, text=body, content_type="application/json")


async def _ask(condition: Condition) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            answer = condition.check()
            return await answer if inspect.isawaitable(answer) else answer
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT:g} s"
    except condition.not_yet as error:
        return str(error) or type(error).__name__


async def _metrics(registry: CollectorRegistry) -> web.Response:
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _measure_lag(registry: CollectorRegistry) -> None:
    """Measure how much later than it should the event loop comes back to us."""
    loop, longest = asyncio.get_running_loop(), 0.0

    def take() -> float:
        nonlocal longest
        taken, longest = longest, 0.0
        return taken

    gauge = Gauge(
        "constellation_event_loop_lag_seconds",
        "Longest block of the event loop since this was last asked.",
        registry=registry,
    )
    gauge.set_function(take)
    while True:
        expected = loop.time() + BEAT
        await asyncio.sleep(BEAT)
        longest = max(longest, loop.time() - expected)
