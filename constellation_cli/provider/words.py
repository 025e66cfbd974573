# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Words of the command line that the commands about the provider share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

if TYPE_CHECKING:
    from terraform_provider_constellation.packaging.mirror import Mirror

VERSION: Final = 1
"""Of the records that these commands write."""

ForOpenTofu: TypeAlias = Annotated[
    bool, typer.Option("--opentofu", help="For OpenTofu; without it for Terraform, which has its own folder.")
]


def users_mirror(*, opentofu: bool) -> Mirror:
    """Give the folder that Terraform or OpenTofu looks into."""
    from terraform_provider_constellation.packaging.mirror import Mirror, Tool

    return Mirror.of_user(Tool.OPENTOFU if opentofu else Tool.TERRAFORM)
