# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Running other programs: with a time limit, and with their last words in the error.

    text = await run(("nft", "list", "tables"), time_limit=60)        # what it wrote to stdout
    await follow(["/usr/bin/kubeadm", "init"], time_limit=600, line=print)     # every line, while it is written

What a program is told that others must not see goes to its standard input, or through a descriptor that it inherits:
command lines are public. Whoever takes too long is killed, with all that it started.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from node_agent.errors import LateProgramError, ProgramError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from constellation_core.keys.secret import Secret

LONGEST: Final = 600.0  # seconds; `mkfs.ext4` on a disk of many TiB
LAST_WORDS: Final = 12  # lines of output in an error
_LONGEST_LINE: Final = 400  # characters of each
_BUFFER: Final = 256 * 1024  # bytes; the longest line that is read
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"}
_SAYS_NOTHING: Final = re.compile(r"^(?:I\d{4} .*|\s*|To see the stack trace of this error .*)$")
"""klog's lines of information (header: level, month and day), and what does not help on a node without a shell."""


async def run(
    command: Sequence[str], *, time_limit: float = LONGEST, stdin: bytes = b"", descriptors: Sequence[int] = ()
) -> str:
    """Run a program of the operating system to its end.

    Args:
        command: program and arguments.
        time_limit: seconds.
        stdin: what it reads.
        descriptors: open files that it inherits, by their number.

    Returns:
        What it wrote to stdout.

    Raises:
        LateProgramError: it took too long.
        ProgramError: it failed, or is not there.
    """
    said: deque[str] = deque(maxlen=LAST_WORDS)
    options = {"stdin": PIPE, "stderr": PIPE, "pass_fds": descriptors, "env": _ENVIRONMENT}
    async with _running(command, time_limit, said, options) as process:
        output, errors = await process.communicate(stdin)
        said.extend(line[:_LONGEST_LINE] for line in errors.decode("utf-8", "replace").splitlines() if line.strip())
    return output.decode("utf-8", "replace")


async def follow(
    command: Sequence[str | Path],
    *,
    time_limit: float,
    stdin: Secret | None = None,
    line: Callable[[str], None] = lambda _line: None,
) -> str:
    """Run a program to its end, and tell what it writes.

    Args:
        command: program and arguments.
        time_limit: seconds.
        stdin: what it reads; None for nothing.
        line: told every line that it writes, to stdout or stderr.

    Returns:
        Its last lines, those that say something.

    Raises:
        LateProgramError: it took too long.
        ProgramError: it failed, or is not there.
    """
    said: deque[str] = deque(maxlen=LAST_WORDS)
    options = {"stdin": PIPE if stdin else DEVNULL, "stderr": STDOUT, "limit": _BUFFER}
    async with _running(command, time_limit, said, options) as process:
        await asyncio.gather(_feed(process, stdin), _listen(process, said, line))
        await process.wait()
    return "\n".join(said)


@asynccontextmanager
async def _running(
    command: Sequence[str | Path], time_limit: float, said: Sequence[str], options: dict[str, Any]
) -> AsyncIterator[Process]:
    """Start a program; see to it that it has ended, and well, at the end of the block."""
    name = " ".join(str(word) for word in command[:2]).rpartition("/")[2]
    try:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdout=PIPE,
            start_new_session=True,  # so that it can be killed with its children
            **options,
        )
    except OSError as error:
        raise ProgramError(f"cannot run {command[0]}: {error.strerror}") from None
    try:
        async with asyncio.timeout(time_limit):
            yield process
    except TimeoutError:
        raise LateProgramError(f"{name} did not end within {time_limit:g} s", said) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        raise ProgramError(f"{name} failed with code {process.returncode}", said, code=process.returncode)


async def _feed(process: Process, stdin: Secret | None) -> None:
    if stdin is None or process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading all: its code says why
        process.stdin.write(stdin.reveal())
        await process.stdin.drain()
    process.stdin.close()


async def _listen(process: Process, said: deque[str], line: Callable[[str], None]) -> None:
    if process.stdout is None:
        return
    async for raw in process.stdout:
        text = raw.decode("utf-8", "replace").rstrip()
        if not _SAYS_NOTHING.match(text):
            said.append(text[:_LONGEST_LINE])
            line(text)
