# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini status`: how far is the cluster of this machine?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from constellation_cli.mini.words import Workspace, workspace_folder
from constellation_cli.output import Output, OutputFormat, Table, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constellation_engine.machines import MachineSpec

EXAMPLES: Final = ("constellation mini status", "constellation mini status -o json | jq .machines")


def show_status(workspace: Workspace = None, output: Output = OutputFormat.TABLE) -> None:
    """Show the machines of a cluster, what in them answers, and which phases of bringing it up are over.

    About the cluster itself: `constellation status`.
    """
    from constellation_engine.local_cluster import Workspace as Folder
    from constellation_engine.machines import machines

    cluster = Folder.open(workspace_folder(workspace))
    state = cluster.state
    found = [(machine, machine.status()) for machine in machines(cluster.machines)]
    answering = _answering([machine.spec for machine, _ in found])
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
                "listening": _listening(machine.spec, answering),
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
        rows = tuple(
            (status.name, status.state.value, ", ".join(_listening(machine.spec, answering)), status.reason)
            for machine, status in found
        )
        return Table(str(cluster.folder), about), Table("machines", rows, ("machine", "state", "listening", "reason"))

    emit(output, record, tables)


def _answering(specs: Sequence[MachineSpec]) -> frozenset[int]:
    """Give the ports of this host behind which somebody answers."""
    import asyncio

    from constellation_cli.progress import waiting_for
    from constellation_engine.machines.reachability import listening

    with waiting_for("answers of the machines"):
        return asyncio.run(listening(forward.host_port for spec in specs for forward in spec.forwards))


def _listening(spec: MachineSpec, answering: frozenset[int]) -> list[str]:
    """Give the names of what answers in a machine."""
    return [forward.name for forward in spec.forwards if forward.host_port in answering]
