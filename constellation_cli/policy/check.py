# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation policy check`: can this policy be used?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli.arguments import VariantOption
from constellation_cli.output import Output, OutputFormat, Table, emit, name_value_rows

EXAMPLES: Final = ("constellation policy check policy.yaml",)


def check_policy(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON or YAML; - for stdin.")],
    variant: VariantOption = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Read a policy and show what it says, or say what is wrong with it."""
    from constellation_cli.files import display_name
    from constellation_cli.policy.file import load_policy

    record = load_policy(file, variant).to_mapping()
    emit(output, record, lambda: [Table(f"{display_name(file)}: usable", tuple(name_value_rows(record)))])
