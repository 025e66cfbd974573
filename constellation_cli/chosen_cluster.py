# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which cluster a command is about: one with a workspace on this machine, or any with a kubeconfig.

1. What the command line names: `--workspace`, `--kubeconfig`, or both.
2. $CONSTELLATION_WORKSPACE.
3. $KUBECONFIG.
4. The usual workspace, if there is a cluster in it.
5. ~/.kube/config.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from constellation_cli.kubeconfig import VARIABLE as KUBECONFIG_VARIABLE
from constellation_cli.mini.words import FOLDER_VARIABLE, workspace_folder

if TYPE_CHECKING:
    from constellation_engine.local_cluster import Workspace as LocalWorkspace

WorkspaceOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--workspace", metavar="FOLDER", help="Folder of a cluster on this machine; default: found as said."),
]
KubeconfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Which cluster, and as whom; default: found as said."),
]


@dataclass(frozen=True, slots=True)
class ChosenCluster:
    """A cluster.

    Attributes:
        workspace: its folder on this machine; None for a cluster that lives elsewhere.
        kubeconfig: whom to ask; None for those that kubectl finds.
    """

    workspace: LocalWorkspace | None
    kubeconfig: Path | None


def choose_cluster(workspace: Path | None, kubeconfig: Path | None) -> ChosenCluster:
    """Find the cluster that is meant.

    Args:
        workspace: as the command line names it.
        kubeconfig: the same.

    Raises:
        WorkspaceError: a folder was named, and is no workspace.
        BringUpError: what the workspace has is no kubeconfig.
    """
    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api

    folder = _folder(workspace, kubeconfig)
    if folder is None:
        return ChosenCluster(None, kubeconfig)
    opened = Workspace.open(folder)
    if kubeconfig is None:
        keep_way_to_api(opened)
    return ChosenCluster(opened, kubeconfig or opened.kubeconfig)


def _folder(workspace: Path | None, kubeconfig: Path | None) -> Path | None:
    from constellation_engine.local_cluster.workspace import STATE_FILE

    if workspace is not None or (kubeconfig is None and os.environ.get(FOLDER_VARIABLE)):
        return workspace_folder(workspace)
    if kubeconfig is not None or os.environ.get(KUBECONFIG_VARIABLE):
        return None
    usual = workspace_folder(None)
    return usual if (usual / STATE_FILE).exists() else None
