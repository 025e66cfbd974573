# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Work of the engine that takes minutes: in a thread, with progress in the log, and it can be told to stop.

Whatever stops it, Ctrl-C or the user's time limit, the thread ends before Terraform gets its answer: nothing goes on
behind the back of who asked.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Final, TypeVar

from terraform_provider_constellation.plugin.api import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from terraform_provider_constellation.plugin.api import Call

T = TypeVar("T")

_LOG: Final = logging.getLogger("constellation")
_AGAIN: Final = "apply again: it goes on from what is there"


def tell(step: object) -> None:
    """Show a step to whoever reads the log (`TF_LOG_PROVIDER=INFO`)."""
    _LOG.info("%s", step)


async def stoppable(call: Call, work: Callable[[Callable[[], None]], T]) -> T:
    """Do work in a thread.

    Args:
        call: of Terraform, which may say that it wants to stop.
        work: is given a function to call now and then, which ends it by an exception.

    Raises:
        StoppedError: Terraform was told to stop, or the time is over; the work has ended.
    """
    reasons: list[str] = []
    wanted = threading.Event()

    def go_on() -> None:
        if wanted.is_set():
            raise StoppedError(reasons[0], hint=_AGAIN)

    def stop(reason: str) -> None:
        reasons.append(reason)
        wanted.set()

    running = asyncio.ensure_future(asyncio.to_thread(work, go_on))
    told = asyncio.ensure_future(call.stopping.wait())
    try:
        await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
        if told.done() and not running.done():
            stop("Terraform was told to stop")
            await asyncio.wait({running})
    except asyncio.CancelledError:  # by the framework, at the end of the time that the user allows
        stop("The time is over; `timeouts` allows more")
        await asyncio.wait({running})
    finally:
        told.cancel()
    return running.result()
