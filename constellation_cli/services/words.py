# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Words of the command line that the commands about the image share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from constellation_cli.errors import UsageError

if TYPE_CHECKING:
    from constellation_engine.debian.mirror import Mirrors

Repository: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Checkout of Constellation; default: the one that this program is from."),
]
Mirror: TypeAlias = Annotated[
    str, typer.Option(metavar="URL", help="Mirror of Debian's archive; default: that of this machine's apt.")
]
SecurityMirror: TypeAlias = Annotated[
    str, typer.Option(metavar="URL", help="Mirror of Debian's security archive; default: the same.")
]


def chosen_mirrors(mirror: str, security_mirror: str) -> Mirrors:
    """Give the mirrors that were named, or those of this machine.

    Raises:
        UsageError: one was named, and the other was not.
        ImageBuildError: none was named, and apt of this machine knows none.
    """
    from constellation_engine.debian.mirror import machine_mirrors
    from constellation_engine.debian.packages import Archive

    if bool(mirror) != bool(security_mirror):
        raise UsageError("--mirror and --security-mirror go together: a release is in both archives")
    if not mirror:
        return machine_mirrors()
    return {Archive.MAIN: mirror.rstrip("/"), Archive.SECURITY: security_mirror.rstrip("/")}
