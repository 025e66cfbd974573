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
Nodes: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="[NODE]...", help="Names of machines; default: all.")
]
ControlPlanes: TypeAlias = Annotated[
    int, typer.Option("--control-planes", metavar="N", help="How many control planes: 1, 3 or 5.")
]
Workers: TypeAlias = Annotated[int, typer.Option("--workers", metavar="N", help="How many workers.")]
Cpus: TypeAlias = Annotated[int, typer.Option("--cpus", metavar="N", help="Processors of each machine.")]
Memory: TypeAlias = Annotated[int, typer.Option("--memory", metavar="MIB", help="Memory of each machine.")]

FOLDER_VARIABLE: Final = "CONSTELLATION_WORKSPACE"


def workspace_folder(chosen: Path | None) -> Path:
    """Give the folder that was named, or the usual one."""
    if chosen is not None:
        return chosen
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    from constellation_engine.user_folders import data_folder

    return data_folder() / "mini"
