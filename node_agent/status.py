# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the node is doing, for whoever asks on loopback: `GET /status` (JSON) and `GET /metrics` (Prometheus).

    {"version": 1, "phase": "serving", "reason": "…", "hint": "", "node": "control-0", "role": "control-plane",
     "image": "constellation 1.0.0", "variant": "qemu-vtpm", "mesh_peers": 2, "entered": {"waiting": 31.2, …}}

Read-only, and nothing in it is secret. A request has so many bytes and so much time.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from node_agent.memory import memory_of_program
from node_agent.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from node_agent.reporter import Reporter

STATUS_VERSION: Final = 1
HOST: Final = "127.0.0.1"
_LONGEST: Final = 4096  # bytes of a request
_SECONDS: Final = 5.0


class StatusServer:
    """Answers on loopback.

    Args:
        reporter: knows what the node is doing.
        peers: counts the peers of the mesh.
    """

    def __init__(self, reporter: Reporter, peers: Callable[[], int]) -> None:
        self._reporter = reporter
        self._peers = peers
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen.

        Args:
            port: TCP port; 0 for any that is free.

        Returns:
            The port.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._answer, HOST, port, limit=_LONGEST)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def close(self) -> None:
        """End."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head.partition(b"\r\n")[0]))
                await writer.drain()
        writer.close()

    def _response(self, request: bytes) -> bytes:
        match request.split(b" "):
            case [b"GET", b"/status", _]:
                return _http(HTTPStatus.OK, "application/json", json.dumps(self._status()))
            case [b"GET", b"/metrics", _]:
                return _http(HTTPStatus.OK, "text/plain; version=0.0.4", self._metrics())
            case _:
                return _http(HTTPStatus.NOT_FOUND, "text/plain", "GET /status or GET /metrics\n")

    def _status(self) -> dict[str, object]:
        view = self._reporter.view
        return {
            "version": STATUS_VERSION,
            "phase": self._reporter.phase.value,
            "reason": view.reason,
            "hint": view.hint,
            "node": view.node,
            "role": view.role,
            "image": view.image,
            "variant": view.variant,
            "mesh_peers": self._peers(),
            "entered": {phase.value: round(uptime, 3) for phase, uptime in self._reporter.entered.items()},
        }

    def _metrics(self) -> str:
        current, entered = self._reporter.phase, self._reporter.entered
        samples = [
            "# HELP constellation_node_phase The phase that the node is in.",
            "# TYPE constellation_node_phase gauge",
            *(f'constellation_node_phase{{phase="{phase}"}} {int(phase is current)}' for phase in Phase),
            "# HELP constellation_node_phase_entered_seconds Seconds since power-on when a phase began last.",
            "# TYPE constellation_node_phase_entered_seconds gauge",
            *(
                f'constellation_node_phase_entered_seconds{{phase="{phase}"}} {uptime:.3f}'
                for phase, uptime in entered.items()
            ),
            "# HELP constellation_node_mesh_peers Nodes that this one speaks with.",
            "# TYPE constellation_node_mesh_peers gauge",
            f"constellation_node_mesh_peers {self._peers()}",
            "# HELP constellation_node_uptime_seconds Seconds since power-on.",
            "# TYPE constellation_node_uptime_seconds counter",
            f"constellation_node_uptime_seconds {time.clock_gettime(time.CLOCK_BOOTTIME):.3f}",
            "# HELP process_cpu_seconds_total Seconds of a processor that this program took.",
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total {time.process_time():.3f}",
            "# HELP process_resident_memory_bytes Memory of this program.",
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {memory_of_program()}",
        ]
        return "\n".join(samples) + "\n"


def _http(status: HTTPStatus, kind: str, body: str) -> bytes:
    content = body.encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode("ascii") + content
