# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Run the programs that look after disks. Keys reach them through pipes: never as an argument, never as a file."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from subprocess import PIPE
from typing import TYPE_CHECKING, Final

from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from constellation_core.keys.secret import Secret

TIME_LIMIT: Final = 600.0
"""Seconds; the longest run is one of `mkfs.ext4` on a disk of many TiB."""
_LAST_WORDS: Final = 600  # characters
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"}


class ProgramError(PermanentError):
    """A program failed.

    Args:
        program: its name.
        code: with which it ended.
        said: what it wrote.
    """

    def __init__(self, program: str, code: int, said: str) -> None:
        super().__init__(f"{program} failed with code {code}: {said.strip()[-_LAST_WORDS:] or 'it said nothing'}")
        self.code = code


async def run(command: Sequence[str], *, stdin: bytes = b"", descriptors: Sequence[int] = ()) -> str:
    """Run a program to its end.

    Args:
        command: program and arguments.
        stdin: what it reads.
        descriptors: open files that it inherits, by their number; arguments name them as `path_of` says.

    Returns:
        What it wrote to stdout.

    Raises:
        ProgramError: it ended with another code than 0.
        PermanentError: it is not there, or takes too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, pass_fds=descriptors, env=_ENVIRONMENT
        )
    except OSError as error:
        raise PermanentError(f"{command[0]} cannot be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(TIME_LIMIT):
            output, said = await process.communicate(stdin)
    except TimeoutError:
        raise PermanentError(f"{command[0]} did not end within {TIME_LIMIT:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ProgramError(" ".join(command[:2]), process.returncode, said.decode("utf-8", "replace"))
    return output.decode("utf-8", "replace")


def path_of(descriptor: int) -> str:
    """Give the path under which a program sees an open file that it inherits."""
    return f"/proc/self/fd/{descriptor}"


@contextmanager
def readable(secret: Secret) -> Iterator[int]:
    """Give a descriptor from which a secret can be read once; it stays in memory of the kernel."""
    reader, writer = os.pipe()
    try:
        try:
            os.write(writer, secret.reveal())
        finally:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)
