# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation support`: a bundle of a real API server and a workspace, with secrets planted everywhere."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from lightkube.models.core_v1 import Container, EnvVar, ObjectReference, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Event, Node, Pod, Secret, ServiceAccount

from constellation_core.names import NAMESPACE
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace
from constellation_engine.testing.node_images import FakeImage
from constellation_engine.testing.service_accounts import create_if_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightkube import Client
    from typer.testing import Result

    from constellation_engine.testing.control_plane import ControlPlane

HEX: Final = "8f1c" * 16
KEY: Final = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIPlantedPlantedPlanted\n-----END EC PRIVATE KEY-----"
PLANTED: Final = (
    "PlantedPlantedPlanted",
    base64.b64encode(KEY.encode()).decode()[40:80],
    HEX,
    "planted-bearer-token",
    "0123456789abcdef",
    "in-a-secret-object",
    "in-the-environment",
    "in-an-argument",
)


@pytest.fixture
def cluster(clean_cluster: ControlPlane) -> ControlPlane:
    """A cluster in which secrets stand wherever programs or people may have written them."""
    client = clean_cluster.client()
    client.create(Node(metadata=ObjectMeta(name="worker-1", annotations={"note": f"Bearer {PLANTED[3]}"})))
    client.create(Secret(metadata=ObjectMeta(name="key-material", namespace=NAMESPACE), stringData={"a": PLANTED[5]}))
    text = f"# {KEY}\n# {base64.b64encode(KEY.encode()).decode()}\nsecret: {HEX}\n"
    client.create(
        ConfigMap(metadata=ObjectMeta(name="join-config", namespace=NAMESPACE), data={"join-config.yaml": text})
    )
    client.create(event(f"kubeadm join --token abcdef.{PLANTED[4]}"))
    for namespace in ("default", "kube-system"):
        create_if_missing(client, ServiceAccount(metadata=ObjectMeta(name="default", namespace=namespace)))
    create_pod(client, "default")
    create_pod(client, "kube-system")
    return clean_cluster


def event(message: str) -> Event:
    about = ObjectReference(kind="ConfigMap", name="join-config", namespace=NAMESPACE)
    return Event(metadata=ObjectMeta(name="one", namespace=NAMESPACE), involvedObject=about, message=message)


def create_pod(client: Client, namespace: str) -> None:
    """Make a pod that was told something, if it is the user's."""
    told = namespace == "default"
    container = Container(
        name="web",
        image="web",
        env=[EnvVar(name="DATABASE", value="in-the-environment")] if told else [],
        args=["in-an-argument"] if told else [],
    )
    spec = PodSpec(containers=[container], nodeName=None if told else "worker-1")
    client.create(Pod(metadata=ObjectMeta(name="web", namespace=namespace), spec=spec))


def content(path: Path) -> dict[str, str]:
    found = {}
    with tarfile.open(path) as archive:
        for name in archive.getnames():
            file = archive.extractfile(name)
            assert file is not None
            found[name.partition("/")[2]] = file.read().decode()
    return found


def test_no_secret_of_a_cluster_is_in_it(
    constellation: Callable[..., Result], cluster: ControlPlane, tmp_path: Path
) -> None:
    file = tmp_path / "support.tar.gz"
    result = constellation("support", "--kubeconfig", cluster.kubeconfig(), "-o", file)
    assert (result.exit_code, result.stdout) == (0, f"{file}\n")
    found = content(file)
    everything = "".join(found.values())
    assert [planted for planted in PLANTED if planted in everything] == []
    pods = json.loads(found["kubernetes/pods.json"])
    assert [pod["spec"]["containers"][0]["image"] for pod in pods] == ["web", "web"]
    assert json.loads(found["kubernetes/nodes.json"])[0]["metadata"]["name"] == "worker-1"
    assert "managedFields" not in everything


def test_logs_that_nobody_has_are_said_to_be_missing(
    constellation: Callable[..., Result], cluster: ControlPlane, tmp_path: Path
) -> None:
    """No kubelet runs here."""
    file = tmp_path / "support.tar.gz"
    result = constellation("support", "--kubeconfig", cluster.kubeconfig(), "-o", file)
    assert "missing: logs/kube-system/web/web.log" in result.stderr
    assert "logs/kube-system/web/web.log" in content(file)["problems.txt"]


def test_without_an_api_server_it_is_made_all_the_same(
    constellation: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = FakeImage().write(tmp_path / "image")
    workspace = Workspace.create(tmp_path / "mini", ClusterSpec(image=image.path))
    monkeypatch.chdir(tmp_path)
    result = constellation("support", "--workspace", workspace.folder)
    path = Path(result.stdout.strip())
    assert (result.exit_code, path.name.startswith("constellation-support-")) == (0, True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "missing: kubernetes: " in result.stderr
    assert {"versions.json", "workspace/cluster.json", "problems.txt"} <= set(content(path))


def test_a_file_that_is_there_is_left(constellation: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    result = constellation("support", "--kubeconfig", tmp_path / "nowhere", "-o", tmp_path / "mine")
    assert (result.exit_code, (tmp_path / "mine").read_text()) == (1, "mine")
