# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Look after one fetch: tell how it goes, and end it when its time is over or it is called off.

Several threads work for one fetch; all of them ask the same watch.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from constellation_engine.errors import GaveUpError

if TYPE_CHECKING:
    from collections.abc import Callable


class Stage(StrEnum):
    """What happens to a component now."""

    CACHED = "cached"
    DAMAGED = "damaged in the cache"
    WAITING = "waiting for another process"
    DOWNLOADING = "downloading"
    UNREACHABLE = "not downloaded"
    BUILDING = "building"
    BOOTING = "booting"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a component is.

    Attributes:
        component: its name and version.
        stage: what happens now; stages that take long are told again and again.
        detail: more of it, for people; may be empty.
    """

    component: str
    stage: Stage
    detail: str

    def __str__(self) -> str:
        """Write it for people."""
        return f"{self.component}: {self.stage}" + (f", {self.detail}" if self.detail else "")


Report: TypeAlias = "Callable[[Progress], None]"
"""Told of every step, from several threads, one at a time."""


class Watch:
    """Looks after one fetch.

    Args:
        timeout: seconds that it may take.
        report: who wants to know how it goes.
    """

    def __init__(self, timeout: float, report: Report) -> None:
        self._timeout = timeout
        self._end = time.monotonic() + timeout
        self._called_off = threading.Event()
        self._report = report
        self._telling = threading.Lock()

    def tell(self, component: str, stage: Stage, detail: str = "") -> None:
        """Say what happens to a component."""
        with self._telling:
            self._report(Progress(component, stage, detail))

    def pass_on(self, progress: Progress) -> None:
        """Say what somebody else, who works for this fetch, says: a `Report`."""
        self.tell(progress.component, progress.stage, progress.detail)

    def call_off(self) -> None:
        """Let every `check` and `pause` from now on raise."""
        self._called_off.set()

    def remaining(self, what: str) -> float:
        """Give the seconds that are left.

        Args:
            what: the thing that is worked on, for the error.

        Raises:
            GaveUpError: none are left, or it was called off.
        """
        if self._called_off.is_set():
            raise GaveUpError(f"{what}: called off")
        left = self._end - time.monotonic()
        if left <= 0:
            raise GaveUpError(
                f"{what}: gave up after {self._timeout:g} s",
                hint="try again with more time (--timeout): what was downloaded or compiled is not lost",
            )
        return left

    def pause(self, seconds: float, what: str) -> None:
        """Let some time pass.

        Raises:
            GaveUpError: as `remaining`.
        """
        self._called_off.wait(min(seconds, self.remaining(what)))
        self.remaining(what)
