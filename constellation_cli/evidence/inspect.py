# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation evidence inspect`: what is in these files?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from attestation.errors import AttestationError
from constellation_cli.errors import CommandError, ExitStatus
from constellation_cli.files import display_name, read_file
from constellation_cli.output import Output, OutputFormat, Table, emit, is_table, name_value_rows
from constellation_cli.terminal import report

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION: Final = 1
MAX_COLUMNS: Final = 5
LONG: Final = frozenset({"data"})  # too long for a column; JSON has it
EXAMPLES: Final = (
    "constellation evidence inspect report.bin vcek.der",
    "constellation evidence inspect -o json evidence.json | jq .files[0].fields.snp.report.tcb",
    "cat /sys/kernel/security/tpm0/binary_bios_measurements | constellation evidence inspect -",
)


def inspect_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files to look at; - for stdin.")],
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show every known field of evidence, by name.

    Knows SNP reports, TDX quotes, Azure HCL reports, AWS Nitro documents, TPM quotes, signatures and public areas, boot
    event logs, X.509 certificates and revocation lists, and our own evidence, policies and measurements; in binary,
    hexadecimal or base64. The kind is found out by content. Nothing is verified: that is the task of
    `constellation evidence verify`.
    """
    records = []
    for path in files:
        try:
            records.append(_inspect(path))
        except AttestationError as error:
            report(error)
    emit(output, {"version": VERSION, "files": records}, lambda: _tables(records))
    if len(records) < len(files):
        raise typer.Exit(ExitStatus.FAILED)


def _inspect(path: Path) -> dict[str, Any]:
    from constellation_cli.recognise import recognise

    name = display_name(path)
    data = read_file(path)
    try:
        recognised = recognise(data, name)
        fields = recognised.kind.describe(recognised.data)
    except CommandError:
        raise
    except AttestationError as error:
        raise CommandError(f"{name}: {error}", hint=error.hint) from None
    kind = recognised.kind
    return {"file": name, "kind": kind.slug, "title": kind.title, "encoding": recognised.encoding, "fields": fields}


def _tables(records: list[dict[str, Any]]) -> Iterable[Table]:
    for record in records:
        rows = tuple(name_value_rows(record["fields"]))
        yield Table(f"{record['file']}: {record['title']}", rows)
        for name, entries in _lists(record["fields"]):
            yield from _list_tables(name, entries)


def _lists(record: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, list[dict[str, Any]]]]:
    for key, value in record.items():
        if is_table(value):
            yield f"{prefix}{key}", value
        elif isinstance(value, dict):
            yield from _lists(value, f"{prefix}{key}.")


def _list_tables(name: str, entries: list[dict[str, Any]]) -> Iterable[Table]:
    """Draw records with the same few plain values as rows, without what is nested in them; others one by one."""
    columns = _plain_names(entries[0])
    if len(columns) <= MAX_COLUMNS and all(_plain_names(entry) == columns for entry in entries):
        rows = (dict(name_value_rows({column: entry[column] for column in columns})) for entry in entries)
        yield Table(name, tuple(tuple(row.values()) for row in rows), columns)
        return
    for index, entry in enumerate(entries):
        yield Table(f"{name}[{index}]", tuple(name_value_rows(entry)))


def _plain_names(entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(key for key, value in entry.items() if not isinstance(value, dict | list) and key not in LONG)
