# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which cluster a task is about: one with a workspace on its host, or any with a kubeconfig."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.basic import AnsibleModule
    from lightkube import Client

    from constellation_engine.local_cluster import Workspace

WORKSPACE: dict[str, Any] = {"workspace": {"type": "path", "required": True}}
"""As `constellation.core.workspace` documents it."""
CLUSTER: dict[str, Any] = {"workspace": {"type": "path"}, "kubeconfig": {"type": "path"}}
"""As `constellation.core.workspace.choice` and `constellation.core.kubeconfig` do; one of them is needed."""


def workspace_of(module: AnsibleModule) -> Workspace:
    """Open the workspace that a task names.

    Raises:
        WorkspaceError: there is no cluster.
    """
    from constellation_engine.local_cluster import Workspace

    return Workspace.open(Path(module.params["workspace"]))


def kubeconfig_of(module: AnsibleModule) -> Path:
    """Give the kubeconfig of the cluster that a task names; of a workspace, it leads to a control plane that answers.

    Raises:
        WorkspaceError: there is no cluster.
    """
    from constellation_engine.errors import WorkspaceError
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api

    if module.params["workspace"] is None:
        return Path(module.params["kubeconfig"] or "")
    workspace = workspace_of(module)
    if not workspace.kubeconfig.exists():
        raise WorkspaceError(
            f"{workspace.folder} has no cluster that is up yet", hint="constellation.core.cluster brings it up"
        )
    keep_way_to_api(workspace)
    return workspace.kubeconfig


@contextmanager
def api_server(module: AnsibleModule) -> Iterator[Client]:
    """Open a client of the API server of the cluster that a task names.

    Raises:
        WorkspaceError: there is no cluster.
        ConfigError: the kubeconfig cannot be used.
    """
    from constellation_engine.cluster.client import api_client

    with api_client(kubeconfig_of(module), patience=float(module.params["timeout"])) as client:
        yield client
