# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`examples/mini` on the real image: `terraform apply` brings up the cluster, plans see what happens to it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pytest
from lightkube import Client, KubeConfig

from constellation_engine.cluster.join_config import put, show
from constellation_engine.machines import Machine, machines
from constellation_engine.node_image.targets import Profile
from tests.mini.cluster import UP, Cluster
from tests.node_image.built_images import kept_image
from tests.terraform_provider_constellation.real_terraform import real_terraform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.terraform_provider_constellation.real_terraform import Terraform

KIND: Final = "constellation_cluster"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(8 * UP)]


@pytest.fixture
def terraform(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terraform]:
    """The example, with the image that is built; machines that it leaves are removed."""
    image = kept_image(repository, Profile.RELEASE)
    shutil.copytree(repository / "examples" / "mini", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)  # as Terraform starts a provider
    with real_terraform(tmp_path) as running:
        running.environment["TF_VAR_image"] = str(image.path)
        yield running
    for machine in machines(tmp_path / "cluster" / "machines"):
        machine.destroy()


def applied(terraform: Terraform) -> None:
    result = terraform.apply()
    assert result.status == 0, result.text


def test_from_nothing_to_a_cluster_and_back(terraform: Terraform) -> None:
    applied(terraform)
    assert terraform.outputs()["nodes"] == {"control-plane-0": "Ready", "worker-0": "Ready"}
    assert not terraform.differs()
    place = Cluster(terraform.folder / "cluster")
    assert sorted(place.ready()) == ["control-plane-0", "worker-0"]
    place.run("verify")

    _a_stopped_machine_is_seen_and_repaired(terraform)
    _a_changed_join_config_is_seen_and_repaired(terraform)
    _a_worker_leaves(terraform, place)

    running = [machine.status().process for machine in machines(terraform.folder / "cluster" / "machines")]
    assert terraform.run("destroy", "-auto-approve").status == 0
    assert not (terraform.folder / "cluster").exists()
    assert all(running)


def _a_stopped_machine_is_seen_and_repaired(terraform: Terraform) -> None:
    Machine(terraform.folder / "cluster" / "machines" / "worker-0").stop()
    assert "worker-0 is stopped: somebody switched it off" in terraform.run("plan").text
    applied(terraform)
    assert not terraform.differs()


def _a_changed_join_config_is_seen_and_repaired(terraform: Terraform) -> None:
    kubeconfig = terraform.state(KIND, "mini")["kubeconfig_path"]
    with Client(config=KubeConfig.from_file(kubeconfig), field_manager="test") as client:
        before = show(client).text
        put(client, before.replace("max: 1", "max: 3"))
        assert "- max: 3 + max: 1" in terraform.run("plan").text
        applied(terraform)
        assert show(client).text == before
    assert not terraform.differs()


def _a_worker_leaves(terraform: Terraform, place: Cluster) -> None:
    terraform.environment["TF_VAR_workers"] = "0"
    applied(terraform)
    assert place.ready() == ["control-plane-0"]
    assert not terraform.differs()
