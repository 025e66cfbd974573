# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What errors do to loops: a temporary one is tried again, a permanent one ends them, others are turned into these."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attestation.errors import AttestationError
from node_agent.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator

    from node_agent.errors import AgentError

_Result = TypeVar("_Result")

FIRST_PAUSE: Final = 0.25  # seconds
LONGEST_PAUSE: Final = 5.0


async def insist(
    call: Callable[[], Awaitable[_Result]], *, patience: float, report: Callable[[str], None] | None = None
) -> _Result:
    """Call something until it works.

    Args:
        call: what to do; safe to repeat.
        patience: seconds after which a temporary error is a permanent one; infinite waits for ever.
        report: told what an error says, whenever that changes.

    Raises:
        PermanentError: trying again does not help, or did not.
    """
    deadline = asyncio.get_running_loop().time() + patience
    pause, said = FIRST_PAUSE, ""
    while True:
        try:
            return await call()
        except TemporaryError as error:
            wait = max(error.delay, pause)
            if asyncio.get_running_loop().time() + wait > deadline:
                raise PermanentError(str(error), hint=error.hint) from error
            if report is not None and str(error) != said:
                said = str(error)
                report(words(error))
        await asyncio.sleep(wait)
        pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def foreign_errors(what: str) -> Iterator[None]:
    """Turn errors of the libraries below us into permanent ones.

    Args:
        what: begins the message.
    """
    from constellation_core.errors import CoreError  # noqa: PLC0415 - only when it is needed

    try:
        yield
    except (AttestationError, CoreError, OSError) as error:
        raise PermanentError(f"{what}: {error}", hint=getattr(error, "hint", "")) from None


@asynccontextmanager
async def background(work: Coroutine[Any, Any, _Result]) -> AsyncIterator[asyncio.Task[_Result]]:
    """Do something in the background, for as long as the block runs. Its errors are for who awaits the task."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def words(error: AgentError) -> str:
    """Say an error in one line, with what to do."""
    return f"{error} ({error.hint})" if error.hint else str(error)
