# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Talk to people on stderr, and what may be written to a terminal at all.

Colour only where a person looks at it, and never a foreign byte that steers the terminal.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from typing import TextIO

    from attestation.errors import AttestationError
    from constellation_core.errors import CoreError
    from constellation_engine.errors import EngineError


def is_colourful(stream: TextIO) -> bool:
    """Whether a person looks at this stream and has nothing against colour (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """Escape what is not printable: names in certificates and logs come from strangers, and terminals obey bytes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def say(label: str, text: str, *, colour: str = "") -> None:
    """Write a line of talk, "label: text", to stderr.

    Args:
        label: first word ("error", "hint").
        text: the rest; may have several lines.
        colour: of the label on a terminal.
    """
    if colour and is_colourful(sys.stderr):
        label = typer.style(label, fg=colour, bold=True)
    lines = "\n".join(map(printable, text.split("\n")))
    sys.stderr.write(f"{label}: {lines}\n")
    sys.stderr.flush()


def report(error: AttestationError | CoreError | EngineError) -> None:
    """Say what went wrong and what to do next."""
    say("error", str(error), colour="red")
    if error.hint:
        say("hint", error.hint, colour="cyan")
