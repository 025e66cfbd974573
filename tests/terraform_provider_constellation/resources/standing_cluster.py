# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster whose API server is real, and whose machines do not boot: what controllers and kubelets write, this writes.

Only what machines that boot would do is left out: they are not switched on, the first node answers at once, and nobody
asks nodes for evidence. `tests/mini` has all of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import DaemonSet, Deployment
from lightkube.resources.apps_v1 import DaemonSetStatus as DaemonSetStatusObject
from lightkube.resources.apps_v1 import DeploymentStatus as DeploymentStatusObject
from lightkube.resources.core_v1 import ConfigMap, Node
from lightkube.resources.core_v1 import NodeStatus as NodeStatusObject

from constellation_core.cluster_facts import DATA_KEY, OBJECT_NAME, ClusterFacts
from constellation_core.cluster_objects import NodeIdentity
from constellation_core.names import NAMESPACE
from constellation_core.networks import API_ENDPOINT
from constellation_core.roles import Role
from constellation_engine.cluster.join_config import put
from constellation_engine.local_cluster import phases
from constellation_engine.local_cluster.machines import places
from constellation_engine.local_cluster.settings import join_config
from constellation_engine.node_image.packages import ContainerImage
from constellation_engine.services_image.build import NAME as SERVICES
from constellation_engine.testing.node_images import PACKAGES, FakeImage

if TYPE_CHECKING:
    import pytest
    from lightkube import Client

    from constellation_engine.local_cluster import Workspace
    from constellation_engine.local_cluster.machines import Place
    from constellation_engine.testing.control_plane import ControlPlane

PHASES = "constellation_engine.local_cluster.phases"
START_MACHINES = phases._Run.start_machines  # for tests that have real ones
IMAGE = FakeImage(packages=replace(PACKAGES, containers=(ContainerImage(SERVICES, f"sha256:{'3f' * 32}"),)))
ABOUT = {
    "kubeletVersion": "v1.36.4",
    "osImage": "Constellation",
    "operatingSystem": "linux",
    **dict.fromkeys(("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion"), "-"),
    **dict.fromkeys(("machineID", "systemUUID"), "-"),
}


@dataclass(slots=True)
class StandingCluster:
    """What machines would do, done to a real API server.

    Attributes:
        control_plane: the API server.
        broken: what the verification says; nothing if all is well.
        phases: which of those left out were gone through.
    """

    control_plane: ControlPlane
    broken: Exception | None
    phases: list[str]

    @property
    def client(self) -> Client:
        """Of an administrator."""
        return self.control_plane.client()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the engine's phases that need machines do what is here."""
        cluster = self

        def start_machines(run: Any) -> None:  # noqa: ANN401 - the engine's own
            cluster.phases.append("infrastructure")
            run.tell("control-plane-0 is on")

        async def initialise(workspace: Workspace, *_: object, **__: object) -> None:
            cluster.phases.append("init")
            cluster.initialise(workspace)

        def wait_for_services(run: Any) -> None:  # noqa: ANN401 - the same
            from constellation_engine.local_cluster import objects  # noqa: PLC0415 - what is patched

            for wanted in objects.services(run._workspace):
                run._await(objects.apply(run._workspace, wanted, run.tell))
            cluster.run_services()

        def verify(run: Any) -> None:  # noqa: ANN401 - the same
            cluster.phases.append("verify")
            if cluster.broken is not None:
                raise cluster.broken
            run.tell("control-plane-0: accepted")

        monkeypatch.setattr(f"{PHASES}._Run.start_machines", start_machines)
        monkeypatch.setattr(f"{PHASES}._Run._machine", lambda *_: None)
        monkeypatch.setattr(f"{PHASES}.first_node.initialise", initialise)
        monkeypatch.setattr(f"{PHASES}._Run.apply_services", wait_for_services)
        monkeypatch.setattr(f"{PHASES}._Run.verify", verify)

    def initialise(self, workspace: Workspace) -> None:
        """Do what the first node does."""
        state = workspace.state
        facts = ClusterFacts(
            name=state.spec.name,
            endpoint=API_ENDPOINT,
            measurement_salt=state.measurement_salt,
            kubernetes_version="v1.36.4",
            components=f"components-{'0' * 64}",
        )
        metadata = ObjectMeta(name=OBJECT_NAME, namespace=NAMESPACE)
        self.client.apply(
            ConfigMap(metadata=metadata, data={DATA_KEY: facts.to_yaml()}), field_manager="constellation", force=True
        )
        put(self.client, join_config(workspace).to_yaml())
        for place in places(workspace):
            self.join(place)
        cluster_id = workspace.master_secret().cluster_id(state.measurement_salt)
        workspace.initialised(cluster_id, self.control_plane.kubeconfig().read_bytes())

    def join(self, place: Place) -> None:
        """Do what a node does that joins."""
        labels = {"node-role.kubernetes.io/control-plane": ""} if place.role is Role.CONTROL_PLANE else {}
        self.client.create(Node(metadata=ObjectMeta(name=place.name, labels=labels)))
        self.report(place.name, ready=True)
        self.client.create(_identity(place).to_object(annotations={}))

    def report(self, name: str, *, ready: bool, boot: str = "-") -> None:
        """Do what a kubelet does."""
        said = {"type": "Ready", "status": str(ready), "message": "the kubelet stopped", "reason": "Stopped"}
        status = {"conditions": [said], "nodeInfo": ABOUT | {"bootID": boot}}
        self.client.patch(NodeStatusObject, name, {"status": status})

    def run_services(self) -> None:
        """Do what controllers and kubelets do."""
        counts = {"desiredNumberScheduled": 1, "numberReady": 1, "currentNumberScheduled": 1, "numberMisscheduled": 0}
        for one in self.client.list(DaemonSet, namespace=NAMESPACE):
            self.client.patch(DaemonSetStatusObject, _name(one), {"status": counts}, namespace=NAMESPACE)
        for other in self.client.list(Deployment, namespace=NAMESPACE):
            replicas = {"status": {"replicas": 9, "readyReplicas": 9}}
            self.client.patch(DeploymentStatusObject, _name(other), replicas, namespace=NAMESPACE)


def _name(found: Any) -> str:  # noqa: ANN401 - lightkube has no common type of its classes
    return str(found.metadata.name)


def _identity(place: Place) -> NodeIdentity:
    last = str(place.address).rpartition(".")[2]
    return NodeIdentity(
        name=place.name,
        role=place.role,
        variant="qemu-vtpm",
        identity=f"{int(last):064x}",
        identity_kind="TPM name",
        disk=f"123e4567-e89b-12d3-a456-426614174{int(last):03}",
        wireguard_public_key=int(last).to_bytes(32, "big"),
        host_key="",
        mesh_address=f"10.213.1.{last}",
        addresses=(str(place.address),),
    )
