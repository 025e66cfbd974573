# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`examples/mini` on the real image: `terraform apply` brings up the cluster, plans see what happens to it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from lightkube import Client, KubeConfig

from constellation_core.conditions import Condition, wait_for
from constellation_engine.cluster.join_config import put, show
from constellation_engine.machines import Machine, machines
from constellation_engine.node_image.targets import Profile
from terraform_provider_constellation.main import ADDRESS
from terraform_provider_constellation.packaging.mirror import Mirror, Tool
from tests.mini.cluster import UP, Cluster
from tests.node_image.built_images import kept_image, next_image
from tests.terraform_provider_constellation.plugin.tools import TERRAFORM, install_from, program_of
from tests.terraform_provider_constellation.real_terraform import Terraform

if TYPE_CHECKING:
    from collections.abc import Iterator

KIND: Final = "constellation_cluster"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(8 * UP)]


@pytest.fixture
def terraform(repository: Path, tmp_path: Path) -> Iterator[Terraform]:
    """The example, with the image that is built, and the provider as users install it; machines left are removed."""
    shutil.copytree(repository / "examples" / "mini", tmp_path, dirs_exist_ok=True)
    Mirror(tmp_path / "providers" / ADDRESS, Tool.TERRAFORM).install_link("0.0.1")
    install_from(tmp_path, tmp_path / "providers")
    image = kept_image(repository, Profile.RELEASE)
    running = Terraform(program_of(TERRAFORM), TERRAFORM, tmp_path, {"TF_VAR_image": str(image.path)})
    assert running.run("init").status == 0
    yield running
    for machine in machines(tmp_path / "cluster" / "machines"):
        machine.destroy()


def applied(terraform: Terraform) -> None:
    result = terraform.apply()
    assert result.status == 0, result.text


def test_from_nothing_to_a_cluster_and_back(terraform: Terraform, repository: Path, tmp_path: Path) -> None:
    _apply_is_interrupted(terraform)
    running = _processes(terraform)
    _provider_is_killed(terraform)
    applied(terraform)
    assert _processes(terraform) == running  # nothing was made anew
    assert terraform.outputs()["nodes"] == {"control-plane-0": "Ready", "worker-0": "Ready"}
    assert not terraform.differs()
    place = Cluster(terraform.folder / "cluster")
    assert sorted(place.ready()) == ["control-plane-0", "worker-0"]
    place.run("verify")

    _a_stopped_machine_is_seen_and_repaired(terraform, place)
    _a_changed_join_config_is_seen_and_repaired(terraform)
    _a_worker_leaves(terraform, place)
    _machines_go_over_to_another_image(terraform, place, next_image(repository, tmp_path).path)

    assert all(_processes(terraform))
    assert terraform.run("destroy", "-auto-approve").status == 0
    assert not (terraform.folder / "cluster").exists()


def _processes(terraform: Terraform) -> list[int | None]:
    return [machine.status().process for machine in machines(terraform.folder / "cluster" / "machines")]


def _apply_is_interrupted(terraform: Terraform) -> None:
    """Ctrl-C while the first node boots."""
    with terraform.start("apply", "-auto-approve") as apply:
        _wait_for(terraform, '"phase": "init"')
        os.killpg(apply.pid, signal.SIGINT)
        said, _ = apply.communicate(timeout=UP)
    assert apply.returncode != 0
    assert "Terraform was told to stop" in " ".join(said.split())


def _provider_is_killed(terraform: Terraform) -> None:
    """`kill -9` while Kubernetes is made."""
    with terraform.start("apply", "-auto-approve") as apply:
        _wait_for(terraform, "the first node is genuine")
        tasks = Path(f"/proc/{apply.pid}/task").glob("*/children")  # whichever of its threads started it
        providers = [int(child) for children in tasks for child in children.read_text().split()]
        assert providers
        for provider in providers:
            os.kill(provider, signal.SIGKILL)
        apply.communicate(timeout=UP)
    assert apply.returncode != 0


def _wait_for(terraform: Terraform, words: str) -> None:
    log = terraform.folder / "cluster" / "log.jsonl"

    def missing() -> str | None:
        return None if log.exists() and words in log.read_text() else "not yet"

    wait_for([Condition(f"{words} in {log.name}", missing)], timeout=UP)


def _a_stopped_machine_is_seen_and_repaired(terraform: Terraform, place: Cluster) -> None:
    Machine(terraform.folder / "cluster" / "machines" / "worker-0").stop()
    assert "worker-0 is stopped: somebody switched it off" in terraform.run("plan").text
    applied(terraform)
    assert not terraform.differs()
    assert sorted(place.ready()) == ["control-plane-0", "worker-0"]


def _a_changed_join_config_is_seen_and_repaired(terraform: Terraform) -> None:
    kubeconfig = terraform.folder / terraform.state(KIND, "mini")["kubeconfig_path"]
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


def _machines_go_over_to_another_image(terraform: Terraform, place: Cluster, image: Path) -> None:
    """The one that is left is the only control plane: it is recovered, and proves the other image."""
    uid = terraform.state("constellation_local_machines", "mini")["uid"]
    terraform.environment["TF_VAR_image"] = str(image)
    planned = terraform.run("plan").text
    assert "constellation_local_machines.mini will be updated in-place" in planned
    assert "must be replaced" not in planned
    applied(terraform)
    assert terraform.state("constellation_local_machines", "mini")["uid"] == uid
    assert not terraform.differs()
    assert place.ready() == ["control-plane-0"]
    place.run("verify", "--image", str(image))
