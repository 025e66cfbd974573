# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Machines go over to another image: real ones that boot nothing, a real API server, and what kubelets would say."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from lightkube.resources.apps_v1 import DaemonSet
from lightkube.resources.core_v1 import Node

from constellation_core.join_config import JoinConfig
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.draining import HELD
from constellation_engine.cluster.join_config import show
from constellation_engine.errors import BringUpError
from constellation_engine.local_cluster.convergence import converge, plan_cluster
from constellation_engine.local_cluster.desired import DesiredCluster
from constellation_engine.local_cluster.machines import places
from constellation_engine.machines import Machine, machines
from constellation_engine.testing.kinds import serve_our_kinds
from tests.terraform_provider_constellation.resources.standing_cluster import (
    IMAGE,
    PHASES,
    START_MACHINES,
    StandingCluster,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.local_cluster import Workspace
    from constellation_engine.testing.control_plane import ControlPlane

UPGRADE = "constellation_engine.local_cluster.upgrade"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("quick_tpm", "_programs")]


@dataclass(slots=True)
class Nodes:
    """What kubelets and verification do where machines boot nothing.

    Attributes:
        cluster: its API server.
        booted: name of a machine → folder of the image that it booted last.
        events: what happened, in order.
        broken: folder of an image that does not prove what it must.
    """

    cluster: StandingCluster
    booted: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    broken: str = ""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        nodes = self

        def start_machines(run: Any) -> None:  # noqa: ANN401 - the engine's own
            START_MACHINES(run)
            nodes.boot(run._workspace)

        async def who_is_silent(workspace: Workspace, endpoints: list[Any], _report: object) -> None:
            (one,) = endpoints
            nodes.prove(one.name, workspace)

        monkeypatch.setattr(f"{PHASES}._Run.start_machines", start_machines)
        monkeypatch.setattr(f"{UPGRADE}.who_is_silent", who_is_silent)

    def boot(self, workspace: Workspace) -> None:
        """Report machines that booted another image than before."""
        known = {node.metadata.name for node in self.cluster.client.list(Node) if node.metadata}
        for place in places(workspace):
            image = Machine(workspace.machines / place.name).spec.image.parent.name
            if place.name in known and self.booted.get(place.name) != image:
                self.booted[place.name] = image
                self.events.append(f"{place.name} boots {image}")
                self.cluster.report(place.name, ready=True, boot=f"of {image}")

    def prove(self, name: str, workspace: Workspace) -> None:
        assert self.held(name)
        assert self.booted[name] == workspace.state.spec.image.name
        if self.booted[name] == self.broken:
            raise BringUpError(f"{name} does not prove it")
        self.events.append(f"{name} proves it")

    def held(self, name: str) -> bool:
        node = self.cluster.client.get(Node, name)
        cordoned = bool(node.spec and node.spec.unschedulable)
        assert cordoned == (HELD in ((node.metadata.annotations if node.metadata else None) or {}))
        return cordoned


@pytest.fixture
def nodes(clean_cluster: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    cluster = StandingCluster(clean_cluster, None, [])
    serve_our_kinds(clean_cluster.client())
    cluster.install(monkeypatch)
    made = Nodes(cluster)
    made.install(monkeypatch)
    return made


@pytest.fixture
def folder(tmp_path: Path, nodes: Nodes) -> Iterator[Path]:
    """The workspace of a cluster that is up; machines that are left are removed."""
    for name, root in (("before", IMAGE.root), ("after", b"after" * 4096)):
        replace(IMAGE, root=root).write(tmp_path / name)
    place = tmp_path / "mini"
    go(place, image=tmp_path / "before", workers=1, memory=2048, state_disk=2048)
    nodes.booted = dict.fromkeys(("control-plane-0", "worker-0"), "before")
    nodes.events.clear()
    yield place
    for machine in machines(place / "machines"):
        machine.destroy()


def go(folder: Path, **wanted: Any) -> Workspace:  # noqa: ANN401 - as DesiredCluster says
    """Converge, and see that nothing is left to do."""
    desired = DesiredCluster(**wanted)
    workspace = converge(folder, desired, plan_cluster(folder, desired), report=lambda _: None, timeout=10)
    plan = plan_cluster(folder, desired)
    assert not plan.differs, plan.changing
    return workspace


def accepted(nodes: Nodes) -> int:
    """How many images may join."""
    return len(JoinConfig.from_yaml(show(nodes.cluster.client).text).images)


def test_workers_first_and_each_proves_it(folder: Path, nodes: Nodes, tmp_path: Path) -> None:
    workspace = go(folder, image=tmp_path / "after")
    assert nodes.events == [
        "worker-0 boots after",
        "worker-0 proves it",
        "control-plane-0 boots after",
        "control-plane-0 proves it",
    ]
    assert not any(map(nodes.held, nodes.booted))
    assert (accepted(nodes), workspace.state.upgrading) == (1, False)
    policies = {
        one.spec.template.spec.containers[0].imagePullPolicy
        for one in nodes.cluster.client.list(DaemonSet, namespace=NAMESPACE)
        if one.spec.template.spec is not None
    }
    assert policies == {"Never"}


@pytest.mark.parametrize("moment", ["machines.Machine.change_image", "local_cluster.upgrade.booted_again"])
def test_who_is_interrupted_goes_on(
    folder: Path, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(f"constellation_engine.{moment}", interrupt)
        with pytest.raises(KeyboardInterrupt):
            go(folder, image=tmp_path / "after")
    assert nodes.held("worker-0")
    assert not nodes.held("control-plane-0")
    assert accepted(nodes) == 2
    go(folder)  # it is in the workspace where to
    assert nodes.events.count("worker-0 boots after") == nodes.events.count("worker-0 proves it") == 1
    assert nodes.events[-1] == "control-plane-0 proves it"
    assert (nodes.held("worker-0"), accepted(nodes)) == (False, 1)


def test_an_image_that_does_not_prove_itself_costs_one_worker_and_goes_back(
    folder: Path, nodes: Nodes, tmp_path: Path
) -> None:
    nodes.broken = "after"
    with pytest.raises(BringUpError, match="worker-0 does not prove it"):
        go(folder, image=tmp_path / "after")
    assert nodes.booted == {"worker-0": "after", "control-plane-0": "before"}
    assert nodes.held("worker-0")
    go(folder, image=tmp_path / "before")
    assert nodes.events == ["worker-0 boots after", "worker-0 boots before", "worker-0 proves it"]
    assert (nodes.held("worker-0"), accepted(nodes)) == (False, 1)


def test_a_list_that_was_written_down_follows(folder: Path, nodes: Nodes, tmp_path: Path) -> None:
    go(folder, max_control_planes=3)
    go(folder, image=tmp_path / "after")
    config = JoinConfig.from_yaml(show(nodes.cluster.client).text)
    assert (len(config.images), config.control_planes.max) == (1, 3)
    go(folder, image=tmp_path / "before", max_control_planes=5)
    config = JoinConfig.from_yaml(show(nodes.cluster.client).text)
    assert (len(config.images), config.control_planes.max) == (1, 5)
