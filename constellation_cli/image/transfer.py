# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Show how far a transfer is, on stderr: one line with a spinner on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from constellation_cli.progress import PATIENCE
from constellation_cli.terminal import printable, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from constellation_engine.node_image.upload.uploader import Report

INTERVAL: Final = 10.0  # seconds between two lines
_MIB: Final = 1 << 20


@contextmanager
def showing_transfer(label: str) -> Iterator[Report]:
    """Give something that can be told of bytes.

    Args:
        label: first word of each line.
    """
    if not sys.stderr.isatty():
        yield Lines(label).tell
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(label) as status:
        yield lambda what, done, total: status.update(escape(printable(sentence(what, done, total))))


def sentence(what: str, done: int, total: int) -> str:
    """Say how far it is, for people."""
    return f"{what}: {done // _MIB} of {total // _MIB} MiB"


class Lines:
    """Writes a line now and then: nothing in the first seconds, and little later.

    Args:
        label: first word of each.
        clock: seconds.
    """

    def __init__(self, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._clock = clock
        self._next = clock() + PATIENCE

    def tell(self, what: str, done: int, total: int) -> None:
        """Take note of progress."""
        if self._clock() >= self._next:
            say(self._label, sentence(what, done, total))
            self._next = self._clock() + INTERVAL
