# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Looking at a cluster again and again: drawn anew on a terminal, elsewhere one line whenever something changed."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from constellation_cli.output import OutputFormat, emit
from constellation_cli.status_tables import tables
from constellation_cli.terminal import printable
from constellation_cli.times import show_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_cli.status_record import Look

INTERVAL: Final = 2.0  # seconds between two looks

_CLEAR: Final = "\x1b[H\x1b[2J"  # cursor to the first line, erase the screen (ECMA-48)


def watch_until_interrupted(look: Callable[[], Look], output: OutputFormat, seconds: float | None) -> Look:
    """Look, show and wait, until somebody presses Ctrl-C or the time is over.

    Args:
        look: looks once.
        output: in which form; JSON and YAML get one record for each change.
        seconds: the time; None for no limit.

    Returns:
        The last look.
    """
    deadline = time.monotonic() + seconds if seconds is not None else float("inf")
    last = look()
    _show(last, None, output)
    try:
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(INTERVAL, left))
            before, last = last, look()
            _show(last, before, output)
    except KeyboardInterrupt:
        pass  # that is how one ends watching
    return last


def _show(now: Look, before: Look | None, output: OutputFormat) -> None:
    if output is OutputFormat.TABLE and sys.stdout.isatty():
        sys.stdout.write(_CLEAR)
        emit(output, {}, lambda: tables(now))
    elif before is None or _news(now) != _news(before):
        sys.stdout.write(_line(now, output))
        sys.stdout.flush()


def _line(now: Look, output: OutputFormat) -> str:
    if output is OutputFormat.JSON:
        return json.dumps(now.record) + "\n"
    if output is OutputFormat.YAML:
        return f"---\n{output.dumps(now.record)}"
    return f"{show_time(now.at)}  {printable(now.missing) or 'every condition holds'}\n"


def _news(look: Look) -> dict[str, Any]:
    """Give a record without the time, which always changes."""
    return {name: value for name, value in look.record.items() if name != "at"}
