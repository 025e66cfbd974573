# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Show people what a change of `join-config` changes: a unified diff on stderr."""

from __future__ import annotations

import difflib
import sys
from typing import Final

import typer

from constellation_cli.terminal import is_colourful, printable

_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


def show_difference(before: str, after: str) -> None:
    """Write what changes to stderr; nothing where nothing does."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="")
    colourful = is_colourful(sys.stderr)
    for line in lines:
        colour = _COLOURS.get(line[0]) if colourful else None
        sys.stderr.write(f"{typer.style(printable(line), fg=colour) if colour else printable(line)}\n")
    sys.stderr.flush()
