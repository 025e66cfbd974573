# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Three control planes: one may burn, another takes its place, and there is no fourth."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

import pytest

from constellation_engine.local_cluster import ClusterSpec
from constellation_engine.local_cluster.requirements import of_cluster
from constellation_engine.machines import Machine
from constellation_engine.node_image.targets import Profile
from tests.mini.cluster import Cluster
from tests.node_image.built_images import kept_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * 3600)]

NAMES = ["control-plane-0", "control-plane-1", "control-plane-2"]
CREDENTIALS = {"cacert": "ca.crt", "cert": "healthcheck-client.crt", "key": "healthcheck-client.key"}
LONG = 1800.0  # seconds: three control planes share two processors


@pytest.fixture(scope="module")
def trio(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three control planes and no worker."""
    folder = tmp_path_factory.mktemp("trio") / "cluster"
    findings = of_cluster(ClusterSpec(image=folder, control_planes=3, workers=0), folder)
    if lacking := [one.found for one in findings if one.name == "processors" and not one.good]:
        pytest.skip(f"processors: {lacking[0]}")
    made = Cluster.new(folder, kept_image(repository, Profile.RELEASE), control_planes=3, workers=0)
    try:
        made.up()
        yield made
    finally:
        made.run("mini", "down")


def members(cluster: Cluster) -> list[str]:
    """Name the members of etcd, as the first of them tells."""
    etcdctl = ["etcdctl", *(f"--{name}=/etc/kubernetes/pki/etcd/{file}" for name, file in CREDENTIALS.items())]
    command = ["exec", "-n", "kube-system", "etcd-control-plane-0", "--", *etcdctl, "member", "list", "-w", "json"]
    return sorted(member["name"] for member in json.loads(cluster.kubectl(*command))["members"])


def another(cluster: Cluster, name: str, last: int) -> Machine:
    """Make a machine that says it is a control plane."""
    like = cluster.machine("control-plane-1").spec
    metadata = {**like.metadata, "name": name}
    spec = replace(like, metadata=metadata, addresses=(IPv4Interface(f"192.168.77.{last}/24"),), forwards=())
    return Machine.create(cluster.folder / "machines" / name, spec)


def api_answers(cluster: Cluster) -> None:
    """Wait until a control plane that is left serves."""
    cluster.wait("the API", lambda: None if cluster.get("nodes")["items"] else "no nodes", seconds=LONG)


def test_one_is_destroyed_another_joins_and_a_fourth_is_refused(trio: Cluster) -> None:
    assert members(trio) == NAMES
    trio.machine("control-plane-2").destroy()
    api_answers(trio)
    trio.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written-by-two"}})
    trio.run("nodes", "forget", "control-plane-2", "--yes")
    another(trio, "control-plane-3", 14).start()
    trio.wait_ready("control-plane-0", "control-plane-1", "control-plane-3", seconds=LONG)
    now = ["control-plane-0", "control-plane-1", "control-plane-3"]
    trio.wait("three members", lambda: None if members(trio) == now else "not yet", seconds=LONG)
    fourth = another(trio, "control-plane-4", 15)
    fourth.start()
    trio.wait("its refusal", lambda: refusal_of(trio, "192.168.77.15"), seconds=LONG)
    assert "control-plane-4" not in [node["metadata"]["name"] for node in trio.get("nodes")["items"]]
    assert trio.get("configmap", "written-by-two")


def refusal_of(cluster: Cluster, address: str) -> str | None:
    refusals = json.loads(cluster.run("status", "-o", "json", check=False).stdout or "{}").get("refusals", [])
    found = [one for one in refusals if address in json.dumps(one)]
    return None if any("control planes" in json.dumps(one) for one in found) else "not yet"
