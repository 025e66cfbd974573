# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini status`: how far is the cluster of this machine?"""

from __future__ import annotations

from typing import Final

from constellation_cli.mini.words import Workspace, workspace_folder
from constellation_cli.output import Output, OutputFormat, Table, emit

EXAMPLES: Final = ("constellation mini status", "constellation mini status -o json | jq .machines")


def show_status(workspace: Workspace = None, output: Output = OutputFormat.TABLE) -> None:
    """Show the machines of a cluster, and which phases of bringing it up are over."""
    from constellation_engine.local_cluster import Workspace as Folder
    from constellation_engine.machines import machines

    cluster = Folder.open(workspace_folder(workspace))
    state = cluster.state
    found = [(machine, machine.status()) for machine in machines(cluster.machines)]
    record = {
        "version": 1,
        "name": state.spec.name,
        "image": str(state.spec.image),
        "cluster_id": state.cluster_id.hex(),
        "finished": list(state.finished),
        "machines": [
            {
                "name": status.name,
                "state": status.state.value,
                "reason": status.reason,
                "ports": {forward.name: forward.host_port for forward in machine.spec.forwards},
            }
            for machine, status in found
        ],
    }

    def tables() -> tuple[Table, ...]:
        about = (
            ("name", state.spec.name),
            ("image", str(state.spec.image)),
            ("cluster id", state.cluster_id.hex() or "none yet"),
            ("phases that are over", ", ".join(state.finished) or "none"),
        )
        rows = tuple((status.name, status.state.value, status.reason) for _, status in found)
        return Table(str(cluster.folder), about), Table("machines", rows, ("machine", "state", "reason"))

    emit(output, record, tables)
