# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a local cluster without asking anybody in it: phases, and its machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_engine.cluster.status import NamedCondition
from constellation_engine.local_cluster.machines import places
from constellation_engine.local_cluster.phase import Phase
from constellation_engine.machines import MachineState, machines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.local_cluster.workspace import Workspace
    from constellation_engine.machines import MachineStatus


def machine_states(workspace: Workspace) -> tuple[MachineStatus, ...]:
    """Give the machines that are there, by name."""
    return tuple(machine.status() for machine in machines(workspace.machines))


def conditions(workspace: Workspace) -> Iterator[NamedCondition]:
    """Give what should be so of its machines and phases."""
    found = {status.name: status for status in machine_states(workspace)}
    missing = [f"{place.name} was not made" for place in places(workspace) if place.name not in found]
    stopped = [
        f"{status.name} is {status.state.value}{f': {status.reason}' if status.reason else ''}"
        for status in found.values()
        if status.state is not MachineState.RUNNING
    ]
    yield NamedCondition("all machines run", ", ".join((*missing, *stopped)))
    left = [phase.value for phase in Phase if phase not in workspace.state.finished]
    yield NamedCondition("all phases are over", f"left: {', '.join(left)}" if left else "")
