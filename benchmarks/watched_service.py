# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Run `constellation-services` and note how long the event loop was ever blocked.

    python -m benchmarks.watched_service FILE join --port 9090 …

FILE gets, at the end, JSON: the longest callback of the event loop in seconds since SIGUSR1, by the processor's clock
and by the wall's. The wall's also counts what other processes and threads took from us meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from time import perf_counter, thread_time

from constellation_services.main import main


def watch() -> dict[str, float]:
    """Measure every callback from now on."""
    longest = {"processor": 0.0, "wall": 0.0}
    run = asyncio.events.Handle._run  # noqa: SLF001 - asyncio has no public place to measure this

    def measured(handle: asyncio.events.Handle) -> None:
        processor, wall = thread_time(), perf_counter()
        run(handle)
        longest["processor"] = max(longest["processor"], thread_time() - processor)
        longest["wall"] = max(longest["wall"], perf_counter() - wall)

    def forget(*_: object) -> None:
        longest.update(dict.fromkeys(longest, 0.0))

    signal.signal(signal.SIGUSR1, forget)
    asyncio.events.Handle._run = measured  # type: ignore[assignment,method-assign] # noqa: SLF001
    return longest


if __name__ == "__main__":
    figures = watch()
    status = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(figures), encoding="utf-8")
    sys.exit(status)
