# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is left out stays, what a cluster keeps for life cannot change, and plans say what changes before it does."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_core.errors import ConfigError
from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.errors import ClusterError, RequirementError, WorkspaceError
from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.local_cluster.convergence import JOIN_CONFIG, plan_cluster, plan_removal, plan_stop
from constellation_engine.local_cluster.desired import DesiredCluster
from constellation_engine.local_cluster.observation import observe, observe_machines
from constellation_engine.local_cluster.settings import ClusterSettings, image_join_config, write_settings
from constellation_engine.testing.known_nodes import workspace_of_nodes
from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture
def new(tmp_path: Path) -> Workspace:
    """A workspace in which nothing was made yet."""
    image = FakeImage().write(tmp_path / "image")
    return Workspace.create(tmp_path / "new", ClusterSpec(image=image.path, memory=2048, state_disk=2048))


@pytest.fixture
def old(tmp_path: Path) -> Workspace:
    """A workspace whose cluster was initialised, and whose machines are off."""
    return workspace_of_nodes(tmp_path / "known", {"control-plane-0": 1, "worker-0": 2}, bytes(32))


def test_what_is_left_out_is_as_it_is() -> None:
    spec = ClusterSpec(image=Path("/image"), workers=3, cpus=4)
    assert DesiredCluster().spec(spec) == spec
    assert DesiredCluster(workers=1).spec(spec) == replace(spec, workers=1)


def test_a_new_cluster_needs_an_image() -> None:
    with pytest.raises(WorkspaceError, match="image: expected one for a new cluster"):
        DesiredCluster().spec(None)


@pytest.mark.parametrize(
    "desired, said",
    [
        (DesiredCluster(name="other", cpus=4), "name is mini, not other; cpus is 2, not 4"),
        (DesiredCluster(certificate_sans=("a",)), "certificate_sans is none, not a"),
        (DesiredCluster(service_network=IPv4Network("10.97.0.0/16")), "service_network is 10.96.0.0/12, not"),
        (
            DesiredCluster(master_secret=MasterSecret.random()),
            "master_secret is the one of this workspace, not another",
        ),
        (DesiredCluster(kubernetes_version="1.35.0"), r"kubernetes_version: expected v1\.35\.0, the image"),
    ],
)
def test_what_a_cluster_keeps_cannot_change(old: Workspace, desired: DesiredCluster, said: str) -> None:
    with pytest.raises(WorkspaceError, match=said):
        desired.require_possible(old)


def test_before_the_first_node_much_can_change(new: Workspace) -> None:
    desired = DesiredCluster(certificate_sans=("a",), master_secret=MasterSecret.random(), kubernetes_version="v1.36.4")
    plan = plan_cluster(new.folder, desired)
    assert {"certificate_sans", "master_secret"} <= set(plan.changing)
    assert plan.before["cluster"] == "not initialised"


def test_a_join_config_that_would_be_refused_is_refused_before() -> None:
    with pytest.raises(ConfigError, match="join-config: version: expected 1, got 2"):
        DesiredCluster(image=Path("/image"), join_config="version: 2").require_possible(None)


def test_who_may_join_is_what_is_asked_for_else_what_the_workspace_says(new: Workspace) -> None:
    usual = image_join_config(new)
    assert DesiredCluster().wanted_join_config(new) == usual.to_yaml()
    approved = JoinConfig.from_yaml(DesiredCluster(approval=True).wanted_join_config(new))
    assert approved.control_planes == ControlPlanes(max=1, approval=True)
    said = replace(usual, control_planes=ControlPlanes(max=5)).to_yaml()
    write_settings(new, ClusterSettings(join_config=said))
    assert DesiredCluster().wanted_join_config(new) == said
    assert JoinConfig.from_yaml(DesiredCluster(approval=True).wanted_join_config(new)).control_planes.max == 5


def test_machines_that_are_off_and_missing_are_seen(old: Workspace, new: Workspace) -> None:
    assert [str(one) for one in observe_machines(old).machines] == ["stopped: somebody switched it off"] * 2
    assert {one.state for one in observe_machines(new).machines} == {"missing"}
    assert observe_machines(replace_workers(old, 0)).unwanted == ("worker-0",)


def replace_workers(workspace: Workspace, workers: int) -> Workspace:
    workspace.resize(workers)
    return workspace


@pytest.mark.usefixtures("_programs")
def test_a_plan_says_what_changes(old: Workspace) -> None:
    plan = plan_cluster(old.folder, DesiredCluster(workers=2))
    assert plan.differs
    assert {name: plan.after[name] for name in plan.changing if "-" in name} == dict.fromkeys(
        ("control-plane-0", "worker-0", "worker-1"), "running"
    )
    assert not plan.answers
    assert plan.before["cluster"].startswith("the cluster cannot be asked: ")
    fewer = plan_cluster(old.folder, DesiredCluster(workers=0))
    assert fewer.after["worker-0"] == "absent"


@pytest.mark.usefixtures("_programs")
def test_what_this_host_lacks_is_said_before(old: Workspace, new: Workspace) -> None:
    for folder in (old.folder, new.folder.with_name("none")):
        desired = DesiredCluster(image=new.state.spec.image, memory=1 << 20)
        with pytest.raises((RequirementError, WorkspaceError), match="memory"):
            plan_cluster(folder, desired)
    assert not new.folder.with_name("none").exists()


def test_an_api_server_of_another_cluster_is_left_alone(old: Workspace, clean_cluster: ControlPlane) -> None:
    old.initialised(bytes(32), clean_cluster.kubeconfig().read_bytes())
    assert observe(old).is_foreign
    with pytest.raises(ClusterError, match="it is of another cluster, or somebody deleted it"):
        plan_cluster(old.folder, DesiredCluster())


def test_a_join_config_is_a_difference_as_a_whole(new: Workspace) -> None:
    plan = plan_cluster(new.folder, DesiredCluster(max_control_planes=3))
    assert JOIN_CONFIG in plan.changing
    assert "max: 3" in plan.after[JOIN_CONFIG]


def test_machines_that_are_off_are_stopped(old: Workspace) -> None:
    assert not plan_stop(old).differs


def test_removal_names_everything(old: Workspace, tmp_path: Path) -> None:
    plan = plan_removal(old.folder)
    assert plan.changing == ("workspace", "control-plane-0", "worker-0")
    assert not plan_removal(tmp_path / "none").differs
