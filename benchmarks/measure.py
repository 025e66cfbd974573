# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How speed is measured: one core, processor time, sides in turn, medians.

Processor time, because the machines that run this are shared: a neighbour who takes the core for a while must not
count. Sides in turn, because the clock of a core changes with its temperature, and must change for both.
"""

from __future__ import annotations

import os
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def stay_on_one_core() -> None:
    """Pin this process, and those that it starts, to the last core it may use."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def rate(work: Callable[[], object], seconds: float) -> float:
    """Repeat `work` from its first finished call on; give calls per second of processor time."""
    work()
    calls = 0
    elapsed = 0.0
    start = process_time()
    while elapsed < seconds:
        work()
        calls += 1
        elapsed = process_time() - start
    return calls / elapsed


def medians(sides: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """Ask every side once in each round; give the median of each side."""
    figures = [[side() for side in sides] for _ in range(rounds)]
    return [median(figure) for figure in zip(*figures, strict=True)]
