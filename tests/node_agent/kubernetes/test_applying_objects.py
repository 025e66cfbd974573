# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real API server takes the first objects, once or twice, and what it refuses is said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap
from lightkube.resources.core_v1 import Secret as KubernetesSecret

from constellation_core.cluster_objects import NodeIdentityObject
from constellation_core.keys.secret import Secret
from constellation_core.names import NAMESPACE
from node_agent.errors import PermanentError, TemporaryError
from node_agent.kubernetes import administrator, objects
from node_agent.kubernetes.patience import Patience

from .plans import cluster_plan

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture
def kubeconfig(clean_cluster: ControlPlane, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As kubeadm writes it: everything in one file."""
    text = clean_cluster.run_kubectl("config", "view", "--raw", "--flatten")
    path = tmp_path / "admin.conf"
    path.write_text(text)
    monkeypatch.setattr(objects, "administrator", lambda: administrator.administrator(path))
    measured = "images/node/mkosi.extra/usr/lib/constellation/kubernetes/objects.yaml"
    monkeypatch.setattr(objects, "FIRST_OBJECTS", repository / measured)
    return path


async def apply(text: Secret) -> None:
    await objects.apply_objects(text, patience=Patience.REAL, report=lambda _: None)


@pytest.mark.usefixtures("kubeconfig")
async def test_twice_is_once(clean_cluster: ControlPlane) -> None:
    plan = cluster_plan()
    wanted = objects.first_objects(plan)
    await apply(wanted)
    await apply(wanted)
    client = clean_cluster.client()
    assert client.get(NodeIdentityObject, plan.node.name)["spec"]["role"] == "control-plane"
    assert client.get(KubernetesSecret, "key-material", namespace=NAMESPACE).data
    for name in ("cluster", "join-config"):
        assert client.get(ConfigMap, name, namespace=NAMESPACE).data


@pytest.mark.usefixtures("kubeconfig")
async def test_whoever_ended_does_not_lead(clean_cluster: ControlPlane) -> None:
    client = clean_cluster.client()
    name = ObjectMeta(name="kube-controller-manager", namespace="kube-system")
    held = Lease(metadata=name, spec=LeaseSpec(holderIdentity="one that ended", leaseDurationSeconds=60))
    client.apply(held, field_manager="one", force=True)
    await apply(objects.first_objects(cluster_plan()))
    for one in ("kube-controller-manager", "kube-scheduler"):
        found = client.get(Lease, one, namespace="kube-system").spec
        assert found is not None
        assert found.holderIdentity == ""


@pytest.mark.usefixtures("kubeconfig")
async def test_what_is_refused_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patience, "call_timeout", 0.1)
    wrong = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Upper", "namespace": "default"}}
    with pytest.raises(PermanentError, match=r"objects of this cluster: API server: .*Upper"):
        await apply(Secret(yaml.safe_dump(wrong).encode()))


@pytest.mark.parametrize(
    "user",
    [{}, {"token": "t"}, {"client-certificate-data": "!", "client-key-data": "!"}, {"client-certificate-data": "AAAA"}],
)
def test_without_a_certificate_nobody_speaks(kubeconfig: Path, user: dict[str, Any]) -> None:
    record = yaml.safe_load(kubeconfig.read_text())
    record["users"][0]["user"] = user
    kubeconfig.write_text(yaml.safe_dump(record))

    async def speak() -> None:
        async with administrator.administrator(kubeconfig):
            pass

    with pytest.raises(TemporaryError, match="expected certificate and key of an administrator"):
        asyncio.run(speak())


def test_paths_are_those_of_the_api() -> None:
    one = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a", "namespace": "b"}}
    assert objects._path(one) == "/apis/coordination.k8s.io/v1/namespaces/b/leases/a"
    other = {"apiVersion": "constellation.dev/v1", "kind": "NodeIdentity", "metadata": {"name": "a"}}
    assert objects._path(other) == "/apis/constellation.dev/v1/nodeidentities/a"
