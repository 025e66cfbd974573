# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The table of figures, for a terminal and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import machine

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD: Final = ("what", "ours", "peer", "ratio", "target", "met")
_NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class Promise:
    """A target.

    Attributes:
        text: the target as it is printed.
        kept: whether the figure meets it.
    """

    text: str
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line; figures are written with their units."""

    what: str
    ours: str
    peer: str = _NOTHING
    ratio: str = _NOTHING
    promises: tuple[Promise, ...] = ()

    def cells(self) -> tuple[str, ...]:
        """The line as it is printed."""
        target = ", ".join(promise.text for promise in self.promises)
        met = "yes" if all(promise.kept for promise in self.promises) else "no"
        return (self.what, self.ours, self.peer, self.ratio, target or _NOTHING, met if target else _NOTHING)


def as_text(rows: Iterable[Row]) -> str:
    """Columns aligned by spaces."""
    lines = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def as_markdown(rows: Iterable[Row]) -> str:
    """A Markdown table."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def show(rows: Iterable[Row], *, markdown: bool) -> int:
    """Print on what was measured, and the table.

    Returns:
        Exit status: 1 where a target was missed.
    """
    measured = list(rows)
    print(machine.describe(None))
    print(as_markdown(measured) if markdown else as_text(measured))
    return int(not all(promise.kept for row in measured for promise in row.promises))
