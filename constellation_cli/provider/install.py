# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation provider install`: put the provider where Terraform finds it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli import __version__
from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.provider.words import VERSION, ForOpenTofu, users_mirror
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from terraform_provider_constellation.packaging.mirror import Installation

EXAMPLES: Final = (
    "constellation provider install",
    "constellation provider install --from terraform-provider-constellation_0.1.0_linux_amd64.zip",
    "constellation provider install --opentofu -o json | jq -r .folder",
)


def install_provider(
    archive: Annotated[
        Path | None,
        typer.Option("--from", metavar="ZIP", help="Install this zip; default: a link to this program's provider."),
    ] = None,
    opentofu: ForOpenTofu = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Put the provider into the folder in your home that Terraform looks into before it asks a registry.

    Then `terraform init` needs no network. Without --from it is a script that starts the provider of the Python
    environment that this command runs in: small, fast, and as new as that. A zip needs no Python. What was installed
    of the same version is replaced in one step.
    """
    from constellation_cli.progress import waiting_for
    from terraform_provider_constellation.packaging.release import semantic_version

    mirror = users_mirror(opentofu=opentofu)
    with waiting_for("the provider to be unpacked"):
        if archive is None:
            installation = mirror.install_link(semantic_version(__version__))
        else:
            installation = mirror.install_archive(archive)
    record = {"version": VERSION, **installation.to_mapping()}
    emit(output, record, lambda: [Table("", _rows(installation))])
    _say_what_to_know(installation)


def _rows(installation: Installation) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in installation.to_mapping().items() if name != "changed")


def _say_what_to_know(installation: Installation) -> None:
    command = installation.tool.command
    if installation.replaced:
        how = f"remove .terraform.lock.hcl, which has its hash, and run `{command} init`"
        say("hint", f"where the {installation.release.version} that was here before is used: {how}", colour="cyan")
    if "-" in installation.release.version:
        wanted = f'version = "{installation.release.version}"'
        say("hint", f"no release, so {command} takes it only where it is asked for: {wanted}", colour="cyan")
    if shutil.which(command) is None:
        say("hint", f"there is no `{command}` on your path: install it to use the provider", colour="cyan")
