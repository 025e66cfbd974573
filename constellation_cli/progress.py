# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting: say for what if it takes long enough to be asked, and not for ever."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from constellation_cli.errors import CommandError
from constellation_cli.terminal import printable, say

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE: Final = 2.0  # seconds of silence that nobody minds


@contextmanager
def waiting_for(what: str, *, patience: float = PATIENCE) -> Iterator[None]:
    """Tell people on stderr what takes so long: a spinner on a terminal, a line elsewhere.

    Args:
        what: the thing that is waited for ("a quote of the TPM at /dev/tpmrm0").
        patience: seconds after which they are told.
    """
    with ExitStack() as shown:
        timer = threading.Timer(patience, _show, (what, shown))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # nothing is shown after the end


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Give up after some time, even if a device or the kernel never answers. Main thread only.

    Args:
        seconds: the time.
        what: the thing that is waited for.

    Raises:
        CommandError: the time is over.
    """

    def give_up(_number: int, _frame: object) -> None:
        raise CommandError(f"gave up waiting for {what} after {seconds:g} s", hint="wait longer: --timeout SECONDS")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _show(what: str, shown: ExitStack) -> None:
    if not sys.stderr.isatty():
        say("waiting", f"for {what}")
        return
    from rich.console import Console
    from rich.markup import escape

    shown.enter_context(Console(stderr=True).status(f"waiting for {escape(printable(what))}"))
