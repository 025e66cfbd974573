# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The serial console of a machine: what somebody sees and types who sits in front of it.

QEMU serves one reader at a time; everything is in `console.log` too, whoever reads.
"""

from __future__ import annotations

import os
import select
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineError
from constellation_engine.machines.local_socket import connect

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

DETACH: Final = b"\x1d"
"""The key that ends `attach`: Ctrl-], as in telnet."""

_TIMEOUT: Final = 10.0  # seconds for connecting, and for a guest that does not take what is typed
_CHUNK: Final = 4096


def open_console(path: Path) -> socket.socket:
    """Connect to the console; what is written there goes to the machine.

    Args:
        path: of its socket.

    Raises:
        MachineError: the machine is switched off.
    """
    try:
        return connect(path, timeout=_TIMEOUT)
    except OSError as error:
        raise MachineError(f"{path}: expected a console: {error}", hint="is the machine switched on?") from None


def attach(path: Path, *, keyboard: int, screen: int) -> None:
    """Pass on keys and output until the machine is switched off, the keyboard has nothing more, or Ctrl-] is typed.

    Args:
        path: of the console's socket.
        keyboard: descriptor to read from; a terminal passes on every key meanwhile.
        screen: descriptor to write to.

    Raises:
        MachineError: the machine is switched off.
    """
    with open_console(path) as console, _every_key(keyboard):
        while True:
            ready, _, _ = select.select([keyboard, console.fileno()], [], [])
            if console.fileno() in ready and not _show(console, screen):
                return
            if keyboard in ready and not _type(keyboard, console):
                return


def _show(console: socket.socket, screen: int) -> bool:
    try:
        output = console.recv(_CHUNK)
    except ConnectionResetError:
        return False
    rest = memoryview(output)
    while rest:
        rest = rest[os.write(screen, rest) :]
    return bool(output)


def _type(keyboard: int, console: socket.socket) -> bool:
    keys, detach, _ = os.read(keyboard, _CHUNK).partition(DETACH)
    try:
        console.sendall(keys)
    except OSError:  # it was switched off
        return False
    return bool(keys) and not detach


@contextmanager
def _every_key(keyboard: int) -> Iterator[None]:
    """Let a terminal pass on every key as it is pressed."""
    if not os.isatty(keyboard):
        yield
        return
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
