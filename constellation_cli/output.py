# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Data to stdout in the form that was asked for: a table for people, JSON or YAML for programs.

On a terminal a table has colour and folds long values; elsewhere it is plain text in columns, one line a row, so that
grep and diff work. JSON and YAML carry the same versioned record.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from constellation_cli.terminal import is_colourful, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class OutputFormat(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"

    def dumps(self, record: Mapping[str, Any]) -> str:
        """Write a record as JSON or YAML."""
        if self is OutputFormat.YAML:
            import yaml

            text: str = yaml.safe_dump(dict(record), sort_keys=False, width=10_000)
            return text
        return json.dumps(record, indent=2) + "\n"


Output: TypeAlias = Annotated[OutputFormat, typer.Option("-o", "--output", help="How to write the result.")]


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people.

    Attributes:
        title: line above it; empty for none.
        rows: cells.
        columns: headings; empty where each row is a name and a value.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...] = ()


def emit(output: OutputFormat, record: Mapping[str, Any], tables: Callable[[], Iterable[Table]]) -> None:
    """Write data to stdout.

    Args:
        output: in which form.
        record: what programs get, with a version.
        tables: makes what people get.
    """
    if output is not OutputFormat.TABLE:
        sys.stdout.write(output.dumps(record))
    elif sys.stdout.isatty():
        _draw(tables())
    else:
        sys.stdout.write("\n".join(map(_plain, tables())))
    sys.stdout.flush()  # here a closed pipe is still handled


def name_value_rows(record: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Flatten a record into dotted names and values for people; lists of records are left out."""
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from name_value_rows(value, f"{name}.") if value else ((name, "none"),)
        elif not is_table(value):
            yield name, _for_people(value)


def is_table(value: object) -> bool:
    """Whether a value is a list of records, which people get as a table of its own."""
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _for_people(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_for_people, value)) or "none"
    return "none" if value is None or value == "" else str(value)


def _plain(table: Table) -> str:
    lines = [table.columns, *table.rows] if table.columns else [*table.rows]
    cells = [[printable(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)
    heading = [printable(table.title)] if table.title else []
    return "\n".join([*heading, *rows]) + "\n"


def _draw(tables: Iterable[Table]) -> None:
    from rich.console import Console
    from rich.table import Table as Drawing
    from rich.text import Text

    console = Console(no_color=not is_colourful(sys.stdout), highlight=False)
    for table in tables:
        if table.title:
            console.print(Text(printable(table.title), "bold"))
        drawing = Drawing(box=None, show_header=bool(table.columns), pad_edge=False, header_style="bold")
        width = len(table.columns or (table.rows[0] if table.rows else ()))
        for index in range(width):
            heading = table.columns[index] if table.columns else ""
            drawing.add_column(heading, style="cyan" if index == 0 else "", overflow="fold")
        for row in table.rows:
            drawing.add_row(*(Text(printable(cell)) for cell in row))
        console.print(drawing)
        console.print()
