# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the service manager wants to know: ready, status, alive, stopping. After sd_notify(3), sd_watchdog_enabled(3).

Datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names; outside of a service manager, nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

MICROSECONDS: Final = 1_000_000
_LONGEST_STATUS: Final = 256  # characters


class ServiceManager:
    """The service manager that started us, if there is one.

    Args:
        environment: of the process.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._patience = _watchdog_seconds(environment)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)  # noqa: FBT003 - the socket's own interface

    def __enter__(self) -> Self:
        """Give it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._socket.close()

    def ready(self) -> None:
        """Say that we do what we are for."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Say that we stop."""
        self._send("STOPPING=1")

    def status(self, line: str) -> None:
        """Say what we are doing, in one line."""
        self._send(f"STATUS={' '.join(line.split())[:_LONGEST_STATUS]}")

    async def keep_alive(self) -> None:
        """Tell again and again that the event loop turns, for as long as this runs; nothing without a watchdog."""
        while self._patience:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._patience / 3)

    def _send(self, line: str) -> None:
        if self._address:
            with suppress(OSError):  # who does not listen misses something, and that is all
                self._socket.sendto(line.encode("utf-8", "replace"), self._address)


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """Seconds of silence after which we are ended; 0 for any."""
    microseconds, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    ours = process in ("", str(os.getpid()))
    return int(microseconds) / MICROSECONDS if ours and microseconds.isdecimal() else 0.0
