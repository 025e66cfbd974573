# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
r"""Thousands of connections that say little and stay.

    async with flood(port, connections=10_000, said=b"\\x16\\x03\\x01") as attacker:
        ...  # others must still get through

They are opened by a process of its own, as fast as it can; whichever the server closes is opened again for as long as
the block runs. `python -m constellation_core.testing.flood` is that process.
"""

from __future__ import annotations

import asyncio
import resource
import select
import socket
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SPARE: Final = 64  # file descriptors for everything else
_AT_ONCE: Final = 256  # connections that are opened between two looks at the others


class Flood:
    """The connections.

    Args:
        port: of the server, on this machine.
        address: where they come from.
        said: what each of them says.
        again: whether one that was closed is opened again.
    """

    def __init__(self, port: int, address: str, said: bytes, *, again: bool) -> None:
        self._target = ("127.0.0.1", port)
        self._address = address
        self._said = said
        self._again = again
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}

    def run(self, connections: int) -> None:
        """Open them all, and hold them until the input ends; say when the first of them are open."""
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        missing = connections
        told = False
        while True:
            for _ in range(min(missing, _AT_ONCE)):
                self._connect()
                missing -= 1
            if not told:
                print("begun", flush=True)  # noqa: T201 - whoever started this process waits for it
                told = True
            for descriptor, event in self._poll.poll(0 if missing else None):
                if descriptor == sys.stdin.fileno():
                    return
                missing += self._look_at(descriptor, event)

    def _connect(self) -> None:
        stream = socket.socket()
        stream.setblocking(False)  # noqa: FBT003 - the socket's own interface
        stream.bind((self._address, 0))
        stream.connect_ex(self._target)
        self._open[stream.fileno()] = stream
        self._poll.register(stream, select.EPOLLOUT)

    def _look_at(self, descriptor: int, event: int) -> int:
        """Speak when it is open; give 1 if it is to be opened again."""
        stream = self._open[descriptor]
        if event == select.EPOLLOUT:
            with suppress(OSError):
                stream.send(self._said)
            self._poll.modify(descriptor, select.EPOLLRDHUP)
            return 0
        self._poll.unregister(descriptor)
        del self._open[descriptor]
        stream.close()
        return int(self._again)


@asynccontextmanager
async def flood(
    port: int, *, connections: int, address: str = "127.0.0.66", said: bytes = b"", again: bool = True
) -> AsyncIterator[None]:
    """Open many connections and keep them open. The block begins when the first of them are.

    Args:
        port: of the server, on this machine.
        connections: how many.
        address: where they come from; all of 127.0.0.0/8 is ours.
        said: what each of them says when it is open.
        again: whether one that was closed is opened again.
    """
    arguments = (port, connections, address, said.hex() or "-", int(again))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, *map(str, arguments), stdin=PIPE, stdout=PIPE
    )
    try:
        if process.stdout is not None:
            await process.stdout.readline()
        yield
    finally:
        process.kill()
        await process.communicate()


def main() -> None:
    """Run the process."""
    port, connections, address, said, again = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, int(connections) + _SPARE), most))
    words = b"" if said == "-" else bytes.fromhex(said)
    Flood(int(port), address, words, again=again == "1").run(int(connections))


if __name__ == "__main__":
    main()
