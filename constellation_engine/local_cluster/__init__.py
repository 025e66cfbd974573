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

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from constellation_engine.local_cluster.phase import Phase
    from constellation_engine.local_cluster.phases import bring_up, tear_down
    from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace

__all__ = ["ClusterSpec", "Phase", "Workspace", "bring_up", "tear_down"]

_PLACES: Final = {
    "ClusterSpec": "workspace",
    "Phase": "phase",
    "Workspace": "workspace",
    "bring_up": "phases",
    "tear_down": "phases",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever it is
    """Load what is asked for: who only looks at a workspace does not wait for all that brings a cluster up."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
