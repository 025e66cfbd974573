# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Words of the command line that the commands about a local cluster share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

Workspace: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--workspace", metavar="FOLDER", help="Folder of the cluster; default: constellation/mini in your data folder."
    ),
]

FOLDER_VARIABLE: Final = "CONSTELLATION_WORKSPACE"


def workspace_folder(chosen: Path | None) -> Path:
    """Give the folder that was named, or the usual one (XDG Base Directory Specification 0.8)."""
    if chosen is not None:
        return chosen
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "constellation" / "mini"
