# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image diff`: what changed between two images, and why do their registers differ?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from constellation_cli.errors import ExitStatus
from constellation_cli.output import Output, OutputFormat, Table, emit

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES: Final = (
    "constellation image diff yesterday today",
    "constellation image diff -o json yesterday today | jq -r '.registers[].reasons[]'",
)


def diff_images(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Folder of an image.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Folder of another.")],
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show packages and registers that differ; status 0 if none does, 2 otherwise.

    A register differs because something that goes into it does: a section of the kernel image, the command line, the
    initrd. The root is in none; its hash stands on the command line.
    """
    from constellation_cli.progress import waiting_for
    from constellation_engine.node_image.diff import compare
    from constellation_engine.node_image.image_folder import ImageFolder

    with waiting_for(f"the measurements of {before} and {after}"):
        difference = compare(ImageFolder.open(before), ImageFolder.open(after))
    record = difference.to_mapping()
    emit(output, record, lambda: _tables(record))
    if not difference.is_empty:
        raise typer.Exit(ExitStatus.REFUSED)


def _tables(record: dict[str, Any]) -> Iterator[Table]:
    if record["same"]:
        yield Table("", (("no difference",),))
    if record["parts"]:
        columns = ("kind", "name", "change", "before", "after")
        yield Table("parts", tuple(tuple(part.values()) for part in record["parts"]), columns)
    if record["registers"]:
        rows = tuple(
            (str(one["register"]), ", ".join(one["reasons"]), one["before"][:16], one["after"][:16])
            for one in record["registers"]
        )
        yield Table("registers", rows, ("register", "because of", "before", "after"))
    words = [("-", word) for word in record["command_line"]["removed"]]
    words += [("+", word) for word in record["command_line"]["added"]]
    if words:
        yield Table("command line", tuple(words))
    if record["launch_digests"]:
        yield Table("launch digests", tuple((digest[0], digest[1:]) for digest in record["launch_digests"]))
