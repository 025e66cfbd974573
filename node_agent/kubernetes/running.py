# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Running other programs: line by line, with a time limit, and with their last words in the error.

What a program is told that others must not see goes to its standard input: command lines are public.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from constellation_core.keys.secret import Secret

LAST_WORDS: Final = 12  # lines of output in an error
_LONGEST_LINE: Final = 400  # characters of each
_BUFFER: Final = 256 * 1024  # bytes; the longest line that is read
_SAYS_NOTHING: Final = re.compile(r"^(?:I\d{4} .*|\s*|To see the stack trace of this error .*)$")
"""klog's lines of information (header: level, month and day), and what does not help on a node without a shell."""


class ProgramError(PermanentError):
    """A program failed.

    Args:
        message: one sentence.
        last_words: its last lines.
        hint: what to do next.
    """

    def __init__(self, message: str, last_words: Sequence[str], *, hint: str = "") -> None:
        said = "\n".join(last_words)
        super().__init__(f"{message}; it said last:\n{said}" if said else message, hint=hint)
        self.last_words = tuple(last_words)


async def run(
    command: Sequence[str | Path],
    *,
    time_limit: float,
    stdin: Secret | None = None,
    line: Callable[[str], None] = lambda _line: None,
) -> str:
    """Run a program to its end.

    Args:
        command: program and arguments.
        time_limit: seconds; then it is killed, with all that it started.
        stdin: what it reads; None for nothing.
        line: told every line that it writes, to stdout or stderr.

    Returns:
        Its last lines, those that say something.

    Raises:
        ProgramError: it fails, is not there, or takes too long.
    """
    said: deque[str] = deque(maxlen=LAST_WORDS)
    name = " ".join(str(word) for word in command[:2]).rpartition("/")[2]
    try:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # so that it can be killed with its children
            limit=_BUFFER,
        )
    except OSError as error:
        raise ProgramError(f"cannot run {command[0]}: {error.strerror}", ()) from None
    try:
        async with asyncio.timeout(time_limit):
            await asyncio.gather(_feed(process, stdin), _listen(process, said, line))
            code = await process.wait()
    except TimeoutError:
        raise ProgramError(f"{name} did not end within {time_limit:g} s", said) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code:
        raise ProgramError(f"{name} failed with code {code}", said)
    return "\n".join(said)


async def _feed(process: asyncio.subprocess.Process, stdin: Secret | None) -> None:
    if stdin is None or process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading all: its code says why
        process.stdin.write(stdin.reveal())
        await process.stdin.drain()
    process.stdin.close()


async def _listen(process: asyncio.subprocess.Process, said: deque[str], line: Callable[[str], None]) -> None:
    if process.stdout is None:
        return
    async for raw in process.stdout:
        text = raw.decode("utf-8", "replace").rstrip()
        if not _SAYS_NOTHING.match(text):
            said.append(text[:_LONGEST_LINE])
            line(text)
