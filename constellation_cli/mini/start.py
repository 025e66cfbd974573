# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini start`: switch machines of the cluster on again."""

from __future__ import annotations

from typing import Final

from constellation_cli.mini.words import Nodes, Workspace, workspace_folder

EXAMPLES: Final = ("constellation mini start", "constellation mini start worker-0")


def start_machines(nodes: Nodes = None, workspace: Workspace = None) -> None:
    """Switch machines on again: all of them, or those that are named.

    A node asks the control planes that run for the key of its disk. If all of them were off, each waits for
    `constellation recover`.
    """
    from constellation_cli.terminal import say
    from constellation_engine.local_cluster import Workspace as Folder
    from constellation_engine.local_cluster.power import switch_on

    cluster = Folder.open(workspace_folder(workspace))
    switch_on(cluster, nodes or (), report=lambda text: say("mini", text))
    say("next", "constellation mini status")
