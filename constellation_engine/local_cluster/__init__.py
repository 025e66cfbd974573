# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A whole confidential cluster on this machine: real machines, real measured boot, real Kubernetes.

    workspace = Workspace.create(Path("mini"), ClusterSpec(image=image))
    bring_up(workspace, report=print)
    workspace.kubeconfig  # for kubectl
    tear_down(workspace)

A workspace is a folder with everything that belongs to one cluster: what was asked for, secrets, machines, and how far
it is. Each phase can be repeated: whoever was interrupted calls `bring_up` again.
"""

from constellation_engine.local_cluster.phases import Phase, bring_up, tear_down
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace

__all__ = ["ClusterSpec", "Phase", "Workspace", "bring_up", "tear_down"]
