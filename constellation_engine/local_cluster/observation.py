# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a local cluster is now: its machines, how far it was brought up, and what its API server says.

Whatever does not answer is a problem, and no error: whoever looks wants to know what to repair.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from constellation_core.errors import CoreError
from constellation_core.names import NAMESPACE
from constellation_engine.errors import EngineError
from constellation_engine.local_cluster.machines import LOOPBACK, left_behind, places, surplus
from constellation_engine.local_cluster.phase import Phase
from constellation_engine.machines import Machine, MachineState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lightkube import Client

    from constellation_core.roles import Role
    from constellation_engine.cluster.status import ClusterStatus
    from constellation_engine.local_cluster.machines import Place
    from constellation_engine.local_cluster.workspace import Workspace

PATIENCE: Final = 15.0  # seconds for each answer of the API server
MISSING: Final = "missing"
"""State of a machine that is not there, beside those of `MachineState`."""
_NOT_OURS: Final = ("all pods run", "the API server answers")  # pods of users may do what they want


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedMachine:
    """A machine that the cluster shall have.

    Attributes:
        name: of machine and node.
        role: what it is to be.
        address: where other machines reach it.
        state: one of `MachineState`, or `MISSING`.
        reason: why it does not run; empty where it does.
        endpoints: name of a service → `host:port` at which this host reaches it.
    """

    name: str
    role: Role
    address: str
    state: str
    reason: str
    endpoints: Mapping[str, str]

    @property
    def runs(self) -> bool:
        """Whether it is as it should be."""
        return self.state == MachineState.RUNNING.value

    def __str__(self) -> str:
        """Give state and reason."""
        return f"{self.state}: {self.reason}" if self.reason else self.state

    def to_mapping(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "name": self.name,
            "role": self.role.value,
            "address": self.address,
            "state": self.state,
            "reason": self.reason or None,
            "endpoints": dict(self.endpoints),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one look at a local cluster showed.

    Attributes:
        machines: those that it shall have, the first control plane first.
        unwanted: names of machines that nobody asks for any more.
        behind: name of a machine → folder of the image that it boots still, where it shall boot another one.
        left: phases that are not over.
        status: what the API server says; None where it does not answer, or is of another cluster.
        join_config: which machines may join, YAML; None where nobody knows.
        silence: why there is no status; empty where there is one, or the cluster is not initialised yet.
        is_foreign: whether what answers is the API server of another cluster.
    """

    machines: tuple[ObservedMachine, ...]
    unwanted: tuple[str, ...]
    left: tuple[Phase, ...]
    status: ClusterStatus | None = None
    join_config: str | None = None
    behind: Mapping[str, Path] = field(default_factory=dict)
    silence: str = ""
    is_foreign: bool = False

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is not as it should be, for people."""
        unfinished = (f"not done yet: {', '.join(self.left)}",) if self.left else ()
        return (*self.of_machines, *unfinished, *self.of_cluster)

    @property
    def of_machines(self) -> tuple[str, ...]:
        """What is wrong with the machines."""
        broken = [f"{machine.name} is {machine}" for machine in self.machines if not machine.runs]
        behind = (f"{name} still boots {image}" for name, image in self.behind.items())
        return (*broken, *behind, *(f"{name} is not wanted any more" for name in self.unwanted))

    @property
    def of_cluster(self) -> tuple[str, ...]:
        """What is wrong with the cluster itself, beside its machines."""
        return tuple(self._of_cluster())

    def _of_cluster(self) -> Iterator[str]:
        if self.silence:
            yield self.silence
        if self.status is not None:
            yield from problems_of(self.status, [machine.name for machine in self.machines])


def problems_of(status: ClusterStatus, names: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with a local cluster by the word of its API server.

    Args:
        status: what it says.
        names: of the machines that the cluster shall have.
    """
    there = {node.name for node in status.nodes}
    yield from (f"{name} is no node" for name in names if name not in there)
    for one in status.conditions():
        if not one.holds and one.name not in _NOT_OURS:
            yield f"{one.name}: {one.missing}"


def observe(workspace: Workspace, *, patience: float = PATIENCE) -> Observation:
    """Look at machines, phases, and the API server.

    Args:
        workspace: of the cluster.
        patience: seconds for each answer of the API server.
    """
    seen = observe_machines(workspace)
    if not workspace.state.cluster_id:
        return seen
    try:
        return _ask(workspace, seen, patience)
    except (CoreError, EngineError) as error:
        return replace(seen, silence=f"the cluster cannot be asked: {error}")


def observe_machines(workspace: Workspace) -> Observation:
    """Look at machines and phases only; nobody is asked anything."""
    unwanted = tuple(machine.name for machine in surplus(workspace))
    behind = left_behind(workspace, workspace.state.spec.image)
    return Observation(
        machines=tuple(_machine(workspace, place) for place in places(workspace)),
        unwanted=unwanted,
        behind={name: image for name, image in behind.items() if name not in unwanted},
        left=tuple(phase for phase in Phase if phase not in workspace.state.finished),
    )


def _machine(workspace: Workspace, place: Place) -> ObservedMachine:
    machine = Machine(workspace.machines / place.name)
    state, reason, endpoints = MISSING, "it was not made, or somebody removed it", {}
    if machine.layout.spec.exists():
        status = machine.status()
        state, reason = status.state.value, status.reason
        endpoints = {one.name: f"{LOOPBACK}:{one.host_port}" for one in machine.spec.forwards}
        if status.state is MachineState.STOPPED:
            reason = reason or "somebody switched it off"
    return ObservedMachine(
        name=place.name, role=place.role, address=str(place.address), state=state, reason=reason, endpoints=endpoints
    )


def _ask(workspace: Workspace, seen: Observation, patience: float) -> Observation:
    from constellation_engine.cluster.client import api_client  # noqa: PLC0415 - it loads much
    from constellation_engine.cluster.join_config import stored  # noqa: PLC0415
    from constellation_engine.cluster.status_reading import read_status  # noqa: PLC0415
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api  # noqa: PLC0415

    keep_way_to_api(workspace)
    with api_client(workspace.kubeconfig, patience=patience) as client:
        if other := other_cluster(client, workspace):
            return replace(seen, silence=other, is_foreign=True)
        return replace(seen, status=read_status(client, datetime.now(UTC)), join_config=stored(client).text)


def other_cluster(client: Client, workspace: Workspace) -> str:
    """Say why an API server is not the one of the cluster whose secrets a workspace has; nothing where it is.

    Raises:
        ClusterError: it refuses, or does not answer.
        ConfigError: what it says of its cluster cannot be read.
    """
    from lightkube.resources.core_v1 import ConfigMap  # noqa: PLC0415 - as above

    from constellation_core.cluster_facts import DATA_KEY, OBJECT_NAME, ClusterFacts  # noqa: PLC0415
    from constellation_engine.cluster.api import asking  # noqa: PLC0415
    from constellation_engine.errors import ObjectNotFoundError  # noqa: PLC0415

    try:
        with asking("read what is true of the cluster"):
            found = client.get(ConfigMap, OBJECT_NAME, namespace=NAMESPACE)
    except ObjectNotFoundError:
        return f"the API server has no ConfigMap {OBJECT_NAME}: it is of another cluster, or somebody deleted it"
    salt = ClusterFacts.from_yaml((found.data or {}).get(DATA_KEY, "")).measurement_salt
    if salt != workspace.state.measurement_salt:
        return "the API server is of another cluster: it has another measurement salt"
    return ""
