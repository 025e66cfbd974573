# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Say what was written to `join-config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_cli.join_config.description import SHOWN_DIGITS, VERSION, describe, summarise
from constellation_cli.output import OutputFormat, Table, emit

if TYPE_CHECKING:
    from constellation_core.cluster_history import Revision


def show_change(written: Revision, *, changed: bool, output: OutputFormat) -> None:
    """Print which revision holds now.

    Args:
        written: the revision.
        changed: whether another one held before.
        output: in which form.
    """
    described = describe(written.text)
    record = {"version": VERSION, "revision": written.number, "changed": changed, **described}
    row = (str(written.number), "yes" if changed else "no", described["sha256"][:SHOWN_DIGITS], summarise(described))
    emit(output, record, lambda: [Table("", (row,), ("revision", "changed", "sha256", "accepts"))])
