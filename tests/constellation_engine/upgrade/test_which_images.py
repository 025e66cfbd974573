# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""To which images machines can go over, what is refused, and who may join meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from attestation.variant import Variant
from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_engine.errors import UnknownImageError, WorkspaceError
from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.local_cluster.convergence import JOIN_CONFIG, plan_cluster
from constellation_engine.local_cluster.desired import DesiredCluster
from constellation_engine.local_cluster.image_change import follow_images, require_possible
from constellation_engine.local_cluster.machines import accepted_policies, booted_images
from constellation_engine.local_cluster.settings import (
    ClusterSettings,
    image_join_config,
    join_config,
    read_settings,
    write_settings,
)
from constellation_engine.machines.spec_file import read_spec, to_json
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.packages import ContainerImage
from constellation_engine.services_image.build import NAME as SERVICES
from constellation_engine.testing.known_nodes import workspace_of_nodes
from constellation_engine.testing.node_images import BUILD, OTHER_KEY, PACKAGES, FakeImage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cluster(tmp_path: Path) -> Workspace:
    """A cluster that is up, with one control plane and one worker."""
    return workspace_of_nodes(tmp_path / "known", {"control-plane-0": 1, "worker-0": 2}, bytes(32))


@pytest.fixture
def other(tmp_path: Path) -> ImageFolder:
    return FakeImage(root=b"another root" * 1024).write(tmp_path / "other")


def boots(workspace: Workspace, name: str, image: ImageFolder) -> None:
    file = workspace.machines / name / "spec.json"
    file.write_text(to_json(replace(read_spec(file), image=image.place(ImageFile.DISK))))


def documents(config: JoinConfig) -> set[bytes]:
    return {image.document for image in config.images}


def test_an_image_of_the_same_kind_is_possible(cluster: Workspace, other: ImageFolder) -> None:
    require_possible(cluster, other)


@pytest.mark.parametrize(
    "image, said",
    [
        (FakeImage(build=replace(BUILD, profile="debug")), "profile: expected release, got debug"),
        (FakeImage(build=replace(BUILD, kubernetes="1.35.2")), "kubernetes: expected 1.36.4, got 1.35.2"),
        (FakeImage(build=replace(BUILD, variant=Variant.OPENSTACK_VTPM)), "variant: expected qemu-vtpm, got openstack"),
        (FakeImage(packages=replace(PACKAGES, containers=())), "containers: expected registry.k8s.io/pause among them"),
        (FakeImage(key=OTHER_KEY), "signature: expected one that nodes of both images believe"),
    ],
)
def test_an_image_of_another_kind_is_refused(cluster: Workspace, tmp_path: Path, image: FakeImage, said: str) -> None:
    with pytest.raises(WorkspaceError, match=said) as refused:
        require_possible(cluster, image.write(tmp_path / "other"))
    assert "same configuration, key and Kubernetes" in refused.value.hint


def test_all_that_is_in_the_way_is_said_at_once(cluster: Workspace, tmp_path: Path) -> None:
    image = FakeImage(build=replace(BUILD, profile="debug", kubernetes="1.35.2"), key=OTHER_KEY).write(tmp_path / "o")
    with pytest.raises(WorkspaceError, match=r"profile: .*; kubernetes: .*; signature: "):
        require_possible(cluster, image)


def test_other_services_are_no_hindrance(cluster: Workspace, tmp_path: Path) -> None:
    services = ContainerImage(SERVICES, f"sha256:{'aa' * 32}")
    packages = replace(PACKAGES, containers=(*PACKAGES.containers, services))
    require_possible(cluster, FakeImage(packages=packages).write(tmp_path / "other"))


def test_a_cluster_that_is_not_up_has_nothing_to_go_over_from(tmp_path: Path, other: ImageFolder) -> None:
    image = FakeImage().write(tmp_path / "image")
    workspace = Workspace.create(tmp_path / "new", ClusterSpec(image=image.path))
    with pytest.raises(WorkspaceError, match="the cluster is not up yet, and begins with the image"):
        DesiredCluster(image=other.path).require_possible(workspace)


def test_an_image_that_is_not_there_is_refused(cluster: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UnknownImageError, match="expected the folder of an image"):
        DesiredCluster(image=tmp_path / "nothing").require_possible(cluster)


@pytest.mark.usefixtures("_programs")
def test_a_plan_names_each_machine_and_who_may_join(cluster: Workspace, other: ImageFolder) -> None:
    plan = plan_cluster(cluster.folder, DesiredCluster(image=other.path))
    images = {name: plan.after[name] for name in plan.changing if name.startswith("image of ")}
    assert images == dict.fromkeys(("image of control-plane-0", "image of worker-0"), str(other.path))
    assert documents(JoinConfig.from_yaml(plan.after[JOIN_CONFIG])) == {other.read_signed().document}
    assert Workspace.open(cluster.folder).state == cluster.state  # a plan changes nothing


@pytest.mark.usefixtures("_programs")
def test_a_plan_for_who_was_interrupted_names_what_is_left(cluster: Workspace, other: ImageFolder) -> None:
    cluster.use_image(other.path)
    boots(cluster, "worker-0", other)
    plan = plan_cluster(cluster.folder, DesiredCluster())
    assert [name for name in plan.changing if name.startswith("image of ")] == ["image of control-plane-0"]


def test_while_machines_go_over_both_images_count(cluster: Workspace, other: ImageFolder) -> None:
    before = cluster.image()
    cluster.use_image(other.path)
    assert cluster.state.upgrading
    assert Workspace.open(cluster.folder).state == cluster.state
    assert booted_images(cluster) == (other, before)
    assert accepted_policies(cluster) == [other.policy(), before.policy()]
    assert documents(image_join_config(cluster)) == {other.read_signed().document, before.read_signed().document}
    for name in ("worker-0", "control-plane-0"):
        boots(cluster, name, other)
    assert booted_images(cluster) == (other,)
    assert documents(image_join_config(cluster)) == {other.read_signed().document}
    cluster.upgraded()
    assert not Workspace.open(cluster.folder).state.upgrading


def test_a_list_of_images_that_was_written_down_follows(cluster: Workspace, other: ImageFolder) -> None:
    before = cluster.image()
    written = replace(image_join_config(cluster), control_planes=ControlPlanes(max=3, approval=True))
    write_settings(cluster, ClusterSettings(join_config=written.to_yaml(), certificate_sans=("mini.example",)))
    require_possible(cluster, other)
    cluster.use_image(other.path)
    follow_images(cluster)
    assert documents(join_config(cluster)) == {other.read_signed().document, before.read_signed().document}
    for name in ("worker-0", "control-plane-0"):
        boots(cluster, name, other)
    follow_images(cluster)
    assert documents(join_config(cluster)) == {other.read_signed().document}
    assert join_config(cluster).control_planes == ControlPlanes(max=3, approval=True)
    assert read_settings(cluster).certificate_sans == ("mini.example",)


def explicit(*images: ImageFolder) -> str:
    return JoinConfig(explicit=tuple(image.policy() for image in images)).to_yaml()


def test_measurements_that_were_written_down_must_accept_both(cluster: Workspace, other: ImageFolder) -> None:
    write_settings(cluster, ClusterSettings(join_config=explicit(cluster.image())))
    with pytest.raises(WorkspaceError, match=r"join_config: expected one that lets in machines with .*other"):
        require_possible(cluster, other)
    write_settings(cluster, ClusterSettings(join_config=explicit(cluster.image(), other)))
    require_possible(cluster, other)


@pytest.mark.parametrize("kept", ["before", "after"])
def test_who_may_join_is_asked_for_both(cluster: Workspace, other: ImageFolder, kept: str) -> None:
    asked: dict[str, Any] = {"image": other.path}
    one = cluster.image() if kept == "before" else other
    with pytest.raises(WorkspaceError, match="until all are gone over"):
        DesiredCluster(**asked, join_config=explicit(one)).require_possible(cluster)
    DesiredCluster(**asked, join_config=explicit(cluster.image(), other)).require_possible(cluster)
