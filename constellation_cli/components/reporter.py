# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Show how a fetch goes, on stderr: one line with a spinner on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from constellation_cli.progress import PATIENCE
from constellation_cli.terminal import printable, say
from constellation_engine.components.watch import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from constellation_engine.components.watch import Progress, Report

LABEL: Final = "components"
INTERVAL: Final = 10.0  # seconds between two lines that say the same of a component
_AT_ONCE: Final = {Stage.DAMAGED, Stage.UNREACHABLE}
_AT_END: Final = {Stage.CACHED, Stage.READY}


@contextmanager
def showing_progress(label: str = LABEL) -> Iterator[Report]:
    """Give something that can be told of progress.

    Args:
        label: first word of each line.
    """
    if not sys.stderr.isatty():
        yield Lines(label=label).tell
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("looking into the cache") as status:
        yield Line(lambda text: status.update(escape(printable(text))), label=label).tell


class Lines:
    """Writes a line when there is news: nothing in the first seconds, and little later."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, label: str = LABEL) -> None:
        self._clock = clock
        self._label = label
        self._start = clock()
        self._last: dict[str, tuple[Stage, float]] = {}

    def tell(self, progress: Progress) -> None:
        """Take note of progress."""
        if progress.stage in _AT_ONCE or self._is_news(progress):
            say(self._label, str(progress))
            self._last[progress.component] = (progress.stage, self._clock())

    def _is_news(self, progress: Progress) -> bool:
        now = self._clock()
        if progress.stage in _AT_END:
            return progress.component in self._last
        stage, when = self._last.get(progress.component, (None, 0.0))
        return now - self._start >= PATIENCE and (progress.stage is not stage or now - when >= INTERVAL)


class Line:
    """Keeps one line up to date: what happens to each component that something happens to.

    Args:
        show: puts a text into the line.
        label: first word of a line of its own, for what must not be overlooked.
    """

    def __init__(self, show: Callable[[str], None], *, label: str = LABEL) -> None:
        self._show = show
        self._label = label
        self._now: dict[str, Progress] = {}

    def tell(self, progress: Progress) -> None:
        """Take note of progress."""
        self._now.pop(progress.component, None)
        if progress.stage in _AT_ONCE:
            say(self._label, str(progress))
        if progress.stage not in _AT_END:
            self._now[progress.component] = progress
        self._show("; ".join(map(str, self._now.values())))
