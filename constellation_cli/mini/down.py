# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini down`: remove the cluster of this machine."""

from __future__ import annotations

from typing import Final

from constellation_cli.mini.words import Workspace, workspace_folder

EXAMPLES: Final = ("constellation mini down",)


def tear_down_cluster(workspace: Workspace = None) -> None:
    """Remove a cluster: its machines, their disks, its secrets. If there is none, nothing happens."""
    from constellation_cli.terminal import say
    from constellation_engine.local_cluster import Workspace as Folder
    from constellation_engine.local_cluster import tear_down

    folder = workspace_folder(workspace)
    if not folder.exists():
        say("mini", f"there is no cluster in {folder}")
        return
    tear_down(Folder.open(folder), report=lambda text: say("mini", text))
