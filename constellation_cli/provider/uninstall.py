# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation provider uninstall`: take the provider away again."""

from __future__ import annotations

from typing import Final

from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.provider.words import VERSION, ForOpenTofu, users_mirror

EXAMPLES: Final = ("constellation provider uninstall", "constellation provider uninstall --opentofu -o json")


def uninstall_provider(opentofu: ForOpenTofu = False, output: Output = OutputFormat.TABLE) -> None:
    """Remove every version of the provider from the folder in your home that Terraform looks into.

    Configurations that were initialised with it need it for `terraform destroy`: destroy first. It is no error if there
    is none.
    """
    removed = [str(folder) for folder in users_mirror(opentofu=opentofu).uninstall()]
    rows = tuple(("removed", folder) for folder in removed) or (("removed", "none"),)
    emit(output, {"version": VERSION, "removed": removed}, lambda: [Table("", rows)])
