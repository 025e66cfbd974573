# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini stop`: switch machines of the cluster off."""

from __future__ import annotations

from typing import Final

from constellation_cli.mini.words import Nodes, Workspace, workspace_folder

EXAMPLES: Final = ("constellation mini stop", "constellation mini stop worker-0")


def stop_machines(nodes: Nodes = None, workspace: Workspace = None) -> None:
    """Switch machines off, as a power cut would: all of them, or those that are named. Their disks stay."""
    from constellation_cli.terminal import say
    from constellation_engine.local_cluster import Workspace as Folder
    from constellation_engine.local_cluster.power import switch_off

    cluster = Folder.open(workspace_folder(workspace))
    switch_off(cluster, nodes or (), report=lambda text: say("mini", text))
    say("next", "constellation mini start")
