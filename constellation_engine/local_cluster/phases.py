# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The way from nothing to a cluster, phase by phase. Each may be repeated, and goes on where it was.

| phase | what is true in the end | where it can stop |
|---|---|---|
| infrastructure | every machine runs | ports, memory, disk, missing programs |
| init | the first node was attested and is a control plane; we have its kubeconfig | another image; the node says why |
| services | join, key and verification services run | pods say why they do not |
| join | every machine is a node, and Ready | machines are refused: Events and consoles say why |
| verify | every node proved again what it is | the verdict lists every reason |
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from constellation_core.conditions import Condition, wait_for
from constellation_core.errors import ConditionTimeoutError
from constellation_engine.errors import BringUpError
from constellation_engine.local_cluster import first_node, objects, recovery
from constellation_engine.local_cluster.machines import create_machine, places, verification_endpoints
from constellation_engine.local_cluster.objects import NOT_YET
from constellation_engine.local_cluster.phase import Phase
from constellation_engine.local_cluster.verification import who_is_silent
from constellation_engine.local_cluster.workspace import STATE_FILE
from constellation_engine.machines import Machine, machines

if TYPE_CHECKING:
    from constellation_engine.local_cluster.workspace import Workspace

DEFAULT_TIMEOUT: Final = (
    1800.0  # seconds for each phase; two slow cores without virtualisation need 300 for the longest
)
_LOOK: Final = 0.5  # seconds between looks whether to go on


@dataclass(frozen=True, slots=True)
class Step:
    """One line of progress.

    Attributes:
        phase: where we are.
        text: what happens.
        seconds: since the beginning.
    """

    phase: Phase
    text: str
    seconds: float

    def __str__(self) -> str:
        """Write it for people."""
        return f"{self.phase}: {self.text}"


Report = Callable[[Step], None]
T = TypeVar("T")


def _always() -> None:
    pass


def bring_up(
    workspace: Workspace,
    *,
    report: Report,
    timeout: float = DEFAULT_TIMEOUT,
    phases: Sequence[Phase] = tuple(Phase),
    go_on: Callable[[], None] = _always,
) -> None:
    """Bring a cluster up, or further up.

    Args:
        workspace: of the cluster.
        report: told of every step; the workspace's log has them all.
        timeout: seconds for each phase.
        phases: which of them, in order; the ones before must have come to their end once.
        go_on: is asked now and then, and raises whatever shall end the run.

    Raises:
        MachineError: a machine cannot be made or started.
        BringUpError: a phase did not come to its end.
        PeerNotAcceptedError: the first machine is not what it should be.
        ClusterError: the API server refuses.
        ClusterNotAcceptedError: a node does not prove what it must.
    """
    run = _Run(workspace, report, timeout, go_on)
    work = {
        Phase.INFRASTRUCTURE: run.start_machines,
        Phase.INIT: run.initialise,
        Phase.SERVICES: run.apply_services,
        Phase.JOIN: run.wait_for_nodes,
        Phase.VERIFY: run.verify,
    }
    for phase in phases:
        run.phase = phase
        run.tell("begins")
        work[phase]()
        workspace.finish(phase)
        run.tell("done")


def wipe(workspace: Workspace, *, report: Callable[[str], None]) -> None:
    """Remove a cluster, but not the place for it: machines, disks and secrets go, and the next `bring_up` begins anew.

    Raises:
        MachineError: a machine cannot be removed; the rest is kept then.
        SecretFileError: new secrets cannot be written.
    """
    for machine in machines(workspace.machines):
        report(f"removing {machine.name}")
        machine.destroy()
    workspace.renew()


def tear_down(workspace: Workspace, *, report: Callable[[str], None]) -> None:
    """Remove a cluster: its machines, their disks, its secrets. What is not there any more is no reason to stop.

    Raises:
        MachineError: a machine cannot be removed; the rest is kept then.
    """
    for machine in machines(workspace.machines):
        report(f"removing {machine.name}")
        machine.destroy()
    for entry in workspace.folder.iterdir():
        if entry.name != STATE_FILE:  # goes last: whoever is interrupted finds a workspace, and removes the rest
            remove = shutil.rmtree if entry.is_dir() else Path.unlink
            remove(entry)
    shutil.rmtree(workspace.folder)


def wait_or_fail(
    condition: Condition,
    *,
    timeout: float,
    tell: Callable[[str], None],
    go_on: Callable[[], None],
    hint: str,
) -> None:
    """Wait until something is so.

    Args:
        condition: what.
        timeout: seconds.
        tell: told what is missing, whenever that changes.
        go_on: is asked before every look, and raises whatever shall end the waiting.
        hint: what to do when it is not so in time.

    Raises:
        BringUpError: it is not so in time.
    """

    def check() -> str | Awaitable[str | None] | None:
        go_on()
        return condition.check()

    def progress(_name: str, said: str) -> None:
        if said:
            tell(said)

    try:
        wait_for([replace(condition, check=check)], timeout=timeout, progress=progress)
    except ConditionTimeoutError as error:
        raise BringUpError(str(error), hint=hint) from error


class _Run:
    """One call of `bring_up`."""

    def __init__(self, workspace: Workspace, report: Report, timeout: float, go_on: Callable[[], None]) -> None:
        self._workspace = workspace
        self._report = report
        self._timeout = timeout
        self._go_on = go_on
        self._start = time.monotonic()
        self.phase = Phase.INFRASTRUCTURE

    def tell(self, text: str) -> None:
        step = Step(self.phase, text, time.monotonic() - self._start)
        entry = {"time": datetime.now(UTC).isoformat(), "phase": step.phase, "seconds": round(step.seconds, 3)}
        self._workspace.append_to_log(json.dumps({**entry, "text": step.text}))
        self._report(step)
        self._go_on()

    def start_machines(self) -> None:
        for place in places(self._workspace):
            create_machine(self._workspace, place).start(report=self.tell)
            self.tell(f"{place.name} is on")

    def initialise(self) -> None:
        workspace, first = self._workspace, self._machine(0)
        if not workspace.state.cluster_id:
            self._await(first_node.initialise(workspace, first, report=self.tell, seconds=self._timeout))
        self._wait(Condition("the API server answers", self._api_server_is_away, not_yet=NOT_YET))

    def _api_server_is_away(self) -> str | None:
        """Ask it. Control planes that all lost their power wait for what opens their disks: they get it."""
        if self._workspace.kubeconfig.exists():
            with objects.client_of(self._workspace) as client:
                if objects.answers(client):
                    return None
        waiting = self._await(recovery.waiting_control_planes(self._workspace))
        if waiting:
            self._await(recovery.recover(self._workspace, waiting, report=self.tell, seconds=self._timeout))
        return "waiting for the API server"

    def apply_services(self) -> None:
        for wanted in objects.services(self._workspace):
            self._await(objects.apply(self._workspace, wanted, self.tell))
            with objects.client_of(self._workspace) as client:
                self._wait(objects.services_ready(client))
        objects.put_programs(self._workspace)

    def wait_for_nodes(self) -> None:
        wanted = [place.name for place in places(self._workspace)]
        with objects.client_of(self._workspace) as client:
            self._wait(objects.nodes_ready(client, wanted))
            self._wait(objects.pods_running(client))

    def verify(self) -> None:
        self._wait(Condition("every node proves what it booted", self._who_is_silent))

    def _who_is_silent(self) -> str | None:
        return self._await(who_is_silent(self._workspace, verification_endpoints(self._workspace), self.tell))

    def _machine(self, index: int) -> Machine:
        return Machine(self._workspace.machines / places(self._workspace)[index].name)

    def _await(self, work: Coroutine[object, object, T]) -> T:
        async def watched() -> T:
            task = asyncio.ensure_future(work)
            while not (await asyncio.wait({task}, timeout=_LOOK))[0]:
                try:
                    self._go_on()
                except BaseException:
                    task.cancel()
                    await asyncio.wait({task})
                    raise
            return task.result()

        return asyncio.run(watched())

    def _wait(self, condition: Condition) -> None:
        hint = "constellation mini status; repeating the command goes on where it was"
        wait_or_fail(condition, timeout=self._timeout, tell=self.tell, go_on=self._go_on, hint=hint)
