# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The QEMU Machine Protocol (docs/interop/qmp-spec): one command at a time, events passed over.

with Qmp.connect(path) as qmp:
    qmp.execute("query-status")["status"]  # "running"
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from constellation_engine.errors import MachineError
from constellation_engine.machines.local_socket import connect

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT: Final = 10.0  # seconds; an answer takes milliseconds unless the host is out of breath
_LONGEST_LINE: Final = 1 << 20  # bytes


class Qmp:
    """A connection on which commands can be given. QEMU serves one at a time; another waits."""

    def __init__(self, connection: socket.socket, lines: BinaryIO) -> None:
        self._connection = connection
        self._lines = lines

    @classmethod
    @contextmanager
    def connect(cls, path: Path, *, timeout: float = TIMEOUT) -> Iterator[Qmp]:
        """Connect, and leave the negotiation behind.

        Args:
            path: of QEMU's socket.
            timeout: seconds for each answer.

        Raises:
            MachineError: nobody answers.
        """
        try:
            connection = connect(path, timeout=timeout)
        except OSError as error:
            raise MachineError(f"{path}: QEMU does not answer: {error}", hint="does the machine run?") from None
        with connection, connection.makefile("rb") as lines:
            qmp = cls(connection, lines)
            qmp.receive("QMP")
            qmp.execute("qmp_capabilities")
            yield qmp

    def execute(self, command: str) -> dict[str, Any]:
        """Give a command and wait for its answer.

        Raises:
            MachineError: QEMU refuses, or is gone.
        """
        try:
            self._connection.sendall(json.dumps({"execute": command}).encode() + b"\n")
        except OSError as error:
            raise MachineError(f"QEMU is gone: {error}") from None
        answer = self.receive("return", "error")
        if "error" in answer:
            raise MachineError(f"QEMU refuses {command}: {answer['error'].get('desc', answer['error'])}")
        result: dict[str, Any] = answer["return"]
        return result

    def receive(self, *keys: str) -> dict[str, Any]:
        """Wait for a message that has one of these keys.

        Raises:
            MachineError: none comes.
        """
        while True:
            try:
                line = self._lines.readline(_LONGEST_LINE)
                message = json.loads(line)
            except (OSError, ValueError) as error:
                raise MachineError(f"QEMU is gone, or says what is no message: {error}") from None
            if not isinstance(message, dict):
                raise MachineError(f"QEMU says what is no message: {line[:80]!r}")
            if not message.keys().isdisjoint(keys):
                return message
