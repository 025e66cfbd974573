# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini console`: what a machine shows on its serial port."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from constellation_cli.mini.words import Workspace, workspace_folder

EXAMPLES: Final = (
    "constellation mini console control-plane-0",
    "constellation mini console --follow worker-0",
)


def show_console(
    node: Annotated[str, typer.Argument(help="Name of the machine.")],
    workspace: Workspace = None,
    follow: Annotated[bool, typer.Option("--follow", help="Sit down in front of it; Ctrl-] leaves.")] = False,
) -> None:
    """Show what a machine wrote to its serial port: image, phase, addresses, registers, and why it does not go on."""
    from constellation_engine.local_cluster import Workspace as Folder
    from constellation_engine.machines import Machine

    machine = Machine(Folder.open(workspace_folder(workspace)).machines / node)
    machine.status()
    sys.stdout.write(machine.console_log())
    sys.stdout.flush()
    if follow:
        machine.attach(keyboard=sys.stdin.fileno(), screen=sys.stdout.fileno())
