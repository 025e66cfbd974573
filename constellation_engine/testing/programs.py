# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that run as long as a test: started, watched and ended by their process id, with a log file each.

They end when this process ends, however it ends (PR_SET_PDEATHSIG, see prctl(2), by setpriv of util-linux).
"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from constellation_engine.errors import ControlPlaneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOG_TAIL: Final = 2000  # characters of a log file in an error
PORTS: Final = range(20000, 32768)  # from there on Linux takes ports for outgoing connections


@dataclass(frozen=True, slots=True)
class RunningProgram:
    """A program that was started.

    Attributes:
        name: for messages.
        log_file: what it writes to stdout and stderr.
        process: the process.
    """

    name: str
    log_file: Path
    process: subprocess.Popen[bytes]

    def check_alive(self) -> None:
        """See that it still runs.

        Raises:
            ControlPlaneError: it ended; with the end of its log.
        """
        code = self.process.poll()
        if code is not None:
            raise self.error(f"{self.name} ended with code {code}")

    def error(self, message: str) -> ControlPlaneError:
        """Add the end of the log to a message."""
        tail = self.log_file.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        return ControlPlaneError(f"{message}; its log ends with:\n{tail}", hint=f"all of it: {self.log_file}")

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait()


class Starter:
    """Starts programs, all of them from one thread.

    The kernel ends a child when the *thread* that started it ends; a thread of some pool might.
    """

    def __init__(self, log_directory: Path) -> None:
        self._log_directory = log_directory
        self._thread = ThreadPoolExecutor(1, "starter")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread, and with it what still runs."""
        self._thread.shutdown()

    def start(self, program: Path, arguments: Sequence[str]) -> RunningProgram:
        """Start a program; its log goes on where the last run of it ended."""
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ControlPlaneError("the program setpriv is not installed", hint="Debian: apt-get install util-linux")
        command = [setpriv, "--pdeathsig", "KILL", "--", str(program), *arguments]
        log_file = self._log_directory / f"{program.name}.log"
        return self._thread.submit(_start, program.name, command, log_file).result()


def _start(name: str, command: list[str], log_file: Path) -> RunningProgram:
    with log_file.open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - ours
    return RunningProgram(name, log_file, process)


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody uses now, and that no outgoing connection will get."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - two test runs at once should choose differently, no more
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
