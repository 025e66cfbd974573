# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Machines go over to another image: real ones that boot nothing, a real API server, and what kubelets would say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lightkube.resources.apps_v1 import DaemonSet

from constellation_core.join_config import JoinConfig
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.join_config import show
from constellation_engine.errors import BringUpError
from constellation_engine.local_cluster.convergence import converge, plan_cluster
from constellation_engine.local_cluster.desired import DesiredCluster
from constellation_engine.machines import machines
from constellation_engine.testing.kinds import serve_our_kinds
from tests.constellation_engine.upgrade.standing_nodes import Nodes
from tests.terraform_provider_constellation.resources.standing_cluster import IMAGE, StandingCluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.local_cluster import Workspace
    from constellation_engine.testing.control_plane import ControlPlane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("quick_tpm", "_programs")]


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
    plan = plan_cluster(folder, desired)
    workspace = converge(folder, desired, plan, report=lambda _: None, timeout=10, drain_timeout=10)
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
