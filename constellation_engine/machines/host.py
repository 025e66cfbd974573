# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the host must have left for a machine: ports, memory."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineSpecError, PortTakenError, TooLittleError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constellation_engine.machines.spec import Forward

_PORTS: Final = range(20000, 32768)  # from there on Linux takes ports for outgoing connections
_LOOPBACK: Final = "127.0.0.1"


def choose_ports(forwards: Iterable[Forward]) -> dict[str, int]:
    """Choose a free port for each forward that has none.

    Returns:
        Port by name of the forward.
    """
    with ExitStack() as held:  # so that none is chosen twice
        return {item.name: _hold_free_port(held) for item in forwards if not item.host_port}


def check_ports(forwards: Iterable[Forward]) -> None:
    """See that nobody listens on the ports that are to be forwarded.

    Raises:
        PortTakenError: somebody does.
        MachineSpecError: only root may.
    """
    for item in forwards:
        try:
            socket.create_server((_LOOPBACK, item.host_port)).close()
        except PermissionError:
            message = f"port {item.host_port} ({item.name}): it is not for ordinary users"
            raise MachineSpecError(message, hint="choose one from 1024 on") from None
        except OSError:
            raise PortTakenError(item.name, item.host_port) from None


def check_memory(needed: int) -> None:
    """See that there is enough memory for a machine.

    Args:
        needed: MiB.

    Raises:
        TooLittleError: there is not.
    """
    free = available_memory()
    if free < needed:
        message = f"expected {needed} MiB of free memory for the machine, there are {free}"
        raise TooLittleError(message, hint="give the machine less memory, or stop other programs")


def available_memory() -> int:
    """Give how much memory programs can have now (MemAvailable of proc(5)), MiB."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) >> 10
    return 0


def _hold_free_port(held: ExitStack) -> int:
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - two creations at once should choose differently, no more
        with suppress(OSError):
            held.enter_context(socket.create_server((_LOOPBACK, port)))
            return port
