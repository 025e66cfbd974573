# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Switch machines of a local cluster off and on again. Their disks, TPMs and metadata stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_engine.errors import WorkspaceError
from constellation_engine.machines import MachineState, machines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from constellation_engine.local_cluster.workspace import Workspace
    from constellation_engine.machines import Machine


def switch_off(workspace: Workspace, names: Collection[str] = (), *, report: Callable[[str], None]) -> None:
    """Cut the power of machines; those that are off stay off.

    Args:
        workspace: of the cluster.
        names: of machines; none means all.
        report: told what happens.

    Raises:
        WorkspaceError: there is no such machine; nothing was switched then.
        MachineError: one cannot be switched off; those behind it are left as they are.
    """
    for machine in _chosen(workspace, names):
        report(f"switching {machine.name} off")
        machine.stop()


def switch_on(workspace: Workspace, names: Collection[str] = (), *, report: Callable[[str], None]) -> None:
    """Switch machines on; those that are on stay on. They have not booted yet when this returns.

    Args:
        workspace: of the cluster.
        names: of machines; none means all.
        report: told what happens.

    Raises:
        WorkspaceError: there is no such machine; nothing was switched then.
        MachineError: one does not start; those behind it are left as they are.
    """
    for machine in _chosen(workspace, names):
        report(f"switching {machine.name} on")
        machine.start(report)


def switch_off_stuck(workspace: Workspace, *, report: Callable[[str], None]) -> None:
    """Cut the power of machines that are on and cannot go on: starting them again is what helps.

    Raises:
        MachineError: one cannot be switched off.
    """
    for machine in machines(workspace.machines):
        if machine.status().state is MachineState.STUCK:
            report(f"switching {machine.name} off: it cannot go on")
            machine.stop()


def _chosen(workspace: Workspace, names: Collection[str]) -> tuple[Machine, ...]:
    there = machines(workspace.machines)
    known = [machine.name for machine in there]
    if not known:
        raise WorkspaceError(f"{workspace.folder} has no machines", hint="constellation mini up makes them")
    if unknown := sorted(set(names) - set(known)):
        raise WorkspaceError(
            f"{workspace.folder} has no machine {', '.join(unknown)}", hint=f"there are: {', '.join(known)}"
        )
    return tuple(machine for machine in there if not names or machine.name in names)
