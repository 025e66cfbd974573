# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of machines: they outlive whoever started them, and are found again by what their command line says.

Number and start time of a process are written down after it started: whoever is killed in between leaves a process
that nobody knows. The command line of QEMU and swtpm names the folder of the machine from the first moment on, in two
arguments that no other process has. So a process id that the kernel gave to somebody else in the meantime is never
taken for ours; and signals go through a file descriptor of the very process that was looked at (pidfd_open(2)).
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from constellation_engine.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

KILL_TIMEOUT: Final = 30.0  # seconds; a killed process that writes to a slow disk ends when that is done


class Marker(NamedTuple):
    """An option and its value, both whole arguments, that only one machine's process has on its command line."""

    option: str
    value: str


def running(marker: Marker) -> list[int]:
    """Give the ids of the processes with this mark: none, or one, or two in the moment in which it is starting."""
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [number for number in numbers if _has(number, marker)]


def wait_until_ended(marker: Marker, timeout: float) -> bool:
    """Wait until no process has this mark any more.

    Args:
        marker: of the process.
        timeout: seconds.

    Returns:
        Whether it came to that.
    """
    deadline = time.monotonic() + timeout
    while numbers := running(marker):
        with _held(numbers[0], marker) as process:
            if process is not None and not _ended(process, deadline - time.monotonic()):
                return False
    return True


def kill(marker: Marker) -> None:
    """End every process with this mark at once, as a power cut would, and wait until they are gone.

    Raises:
        MachineError: one is another user's, or does not go.
    """
    deadline = time.monotonic() + KILL_TIMEOUT
    while numbers := running(marker):
        with _held(numbers[0], marker) as process:
            if process is None:
                continue
            _send(process, numbers[0])
            if not _ended(process, deadline - time.monotonic()):
                raise MachineError(f"process {numbers[0]} was killed and still runs after {KILL_TIMEOUT:g} s")


def _send(process: int, number: int) -> None:
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except PermissionError:
        raise MachineError(f"process {number} of the machine is another user's", hint="do it as that user") from None


@contextmanager
def _held(number: int, marker: Marker) -> Iterator[int | None]:
    """Give a descriptor of a process, which stays that process; None if it is gone or never was ours."""
    try:
        process = os.pidfd_open(number)
    except ProcessLookupError:
        yield None
        return
    try:
        yield process if _has(number, marker) else None
    finally:
        os.close(process)


def _has(number: int, marker: Marker) -> bool:
    try:
        command_line = Path(f"/proc/{number}/cmdline").read_bytes()  # empty when it only waits to be buried
    except OSError:
        return False
    arguments = command_line.decode(errors="surrogateescape").split("\0")
    return any(pair == marker for pair in pairwise(arguments))


def _ended(process: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout) * 1000))
