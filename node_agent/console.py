# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What somebody at the serial port sees: a block when the phase changes, timed lines in between, and never a prompt.

    ──────────────────────────────────────────────────────────────────────
     constellation 1.0.0 · qemu-vtpm                            31.204 s
     node         control-0 (control-plane)
     phase        waiting: for init on port 9000
     addresses    eth0 10.0.2.15 · eth1 10.99.0.1
     register  4  c8f1…                                     (64 digits each)
    ──────────────────────────────────────────────────────────────────────
    [   31.204] disk: formatted

Plain lines, no cursor: it reads as well in a log. What metadata or peers say is shown without control characters.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from node_agent.phases import Entry, Phase

WIDTH: Final = 80
SHOWN_REGISTERS: Final = (4, 9, 11, 12, 13, 15)
NOT_FOR_SECRETS: Final = "DEBUG IMAGE: NOT FOR SECRETS"

_RULE: Final = "─" * WIDTH
_UNKNOWN: Final = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is shown; what is not known yet is empty.

    Attributes:
        image: name and version.
        variant: platform.
        debug: whether the image has a shell.
        node: name of the node.
        role: what it is to be.
        phase: what it is doing.
        reason: why.
        hint: what to do about it.
        addresses: name of each interface → its address.
        memory: how much of it is in use.
        registers: number of each register → its value.
    """

    image: str = ""
    variant: str = ""
    debug: bool = False
    node: str = ""
    role: str = ""
    phase: Phase | None = None
    reason: str = ""
    hint: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    memory: str = ""
    registers: Mapping[int, bytes] = field(default_factory=dict)

    def lines(self, uptime: float) -> list[str]:
        """Give the block.

        Args:
            uptime: seconds since power-on.
        """
        title = printable(f"{self.image or 'constellation'} · {self.variant or 'unknown platform'}")
        since = f"{uptime:.3f} s"
        phase = f"{self.phase or _UNKNOWN}: {self.reason}" if self.reason else f"{self.phase or _UNKNOWN}"
        rows = [
            ("node", f"{self.node} ({self.role or _UNKNOWN})" if self.node else _UNKNOWN),
            ("phase", phase),
            *([("what to do", self.hint)] if self.hint else []),
            ("addresses", " · ".join(f"{name} {address}" for name, address in self.addresses.items()) or _UNKNOWN),
            *([("memory", self.memory)] if self.memory else []),
            *((f"register {index:2}", value.hex()) for index, value in self.registers.items()),
        ]
        warning = [NOT_FOR_SECRETS.center(WIDTH)] if self.debug else []
        body = [f" {name:<13}{printable(text)}" for name, text in rows]
        return [_RULE, f" {title:<{WIDTH - len(since) - 2}} {since}", *warning, *body, _RULE]


class Console:
    """Writes to a terminal that may be slow, or missing: neither stops us.

    Args:
        path: of the terminal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def show(self, view: View, uptime: float) -> None:
        """Show everything.

        Args:
            view: what there is to show.
            uptime: seconds since power-on.
        """
        self._write("\n".join(view.lines(uptime)))

    def line(self, entry: Entry) -> None:
        """Show one line of progress."""
        self._write(f"[{entry.uptime:9.3f}] {printable(entry.detail)}")

    def _write(self, text: str) -> None:
        data = f"{text}\n".encode()
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.write(descriptor, data)
        except OSError:  # it is full: what it does not show is in the journal
            pass
        finally:
            os.close(descriptor)


def printable(text: str) -> str:
    """Give a text without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
