# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Words of the command line that the commands about components share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from constellation_engine.errors import UnknownComponentError

if TYPE_CHECKING:
    from constellation_engine.components import Origin

VERSION: Final = 1
"""Of the records that these commands write."""


def parse_component(name: str) -> str:
    """Read the name of a component."""
    from constellation_engine.components import our_manifest

    try:
        our_manifest().select([name])
    except UnknownComponentError as error:
        raise typer.BadParameter(f"{error}; {error.hint}") from None
    return name


def parse_kubernetes(version: str) -> str:
    """Read a version of Kubernetes."""
    from constellation_engine.components import our_manifest

    try:
        return our_manifest().version(version)
    except UnknownComponentError as error:
        raise typer.BadParameter(f"{error}; {error.hint}") from None


def parse_origin(word: str) -> Origin:
    """Read where components may come from."""
    from constellation_engine.components import Origin

    try:
        return Origin(word)
    except ValueError:
        raise typer.BadParameter(f"expected {' or '.join(Origin)}, got {word!r}") from None


Names: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", parser=parse_component, help="Components; default: all.", show_default=False),
]
Kubernetes: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--kubernetes", metavar="VERSION", parser=parse_kubernetes, help="1.36 or 1.36.4; default: the newest."
    ),
]
Only: TypeAlias = Annotated[
    Any | None,  # an Origin, which is not imported for --help
    typer.Option(
        metavar="ORIGIN",
        parser=parse_origin,
        help="Take nothing from elsewhere: download, or build, which gives the same bytes everywhere.",
    ),
]
CacheFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        envvar="CONSTELLATION_COMPONENTS",
        help="Where programs are kept; default: constellation/components in your cache folder.",
        show_envvar=True,
    ),
]
