# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the files that a command was given, within bounds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from constellation_cli.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIZE: Final = 8 * 1024 * 1024  # bytes; the largest thing we read, a boot log, has 256 KiB
STDIN: Final = "-"


def read_file(path: Path, *, limit: int = MAX_SIZE) -> bytes:
    """Read a file, or stdin for "-".

    Raises:
        CommandError: it cannot be read, is empty or too large.
    """
    name = display_name(path)
    try:
        data = _read(path, limit + 1)
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}", hint=_hint(error)) from None
    if not data:
        raise CommandError(f"{name} is empty", hint="did the command that wrote it fail?")
    if len(data) > limit:
        raise CommandError(f"{name} has more than {limit} bytes", hint="nothing that is read here is so large")
    return data


def display_name(path: Path) -> str:
    """Give the name by which people know a file."""
    return "stdin" if str(path) == STDIN else str(path)


def _read(path: Path, count: int) -> bytes:
    if str(path) == STDIN:
        return sys.stdin.buffer.read(count)
    with path.open("rb") as file:
        return file.read(count)


def _hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is the name spelt right, and relative to this directory?"
    if isinstance(error, PermissionError):
        return "run as a user who may read it"
    return "give a regular file, or - for stdin"
