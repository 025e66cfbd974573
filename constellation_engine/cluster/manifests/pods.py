# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The pods of our services: what they all share, with nothing allowed that a service does not say it needs.

Every container has a read-only root file system, no capabilities, no way to new privileges, the runtime's seccomp
profile, and an image named by its digest. Every pod runs before anything else on its node (`system-node-critical`) and
whatever the node is tainted with: a node that cannot be verified, or that cannot let others in, is of no use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lightkube.models.apps_v1 import DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet
from lightkube.models.core_v1 import (
    Capabilities,
    Container,
    ContainerPort,
    EnvVar,
    EnvVarSource,
    HTTPGetAction,
    ObjectFieldSelector,
    PodSecurityContext,
    PodSpec,
    PodTemplateSpec,
    Probe,
    ResourceRequirements,
    SeccompProfile,
    SecurityContext,
    Toleration,
)
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import DaemonSet

from constellation_core.names import NAMESPACE, STATUS_PORT

if TYPE_CHECKING:
    from lightkube.models.core_v1 import Volume, VolumeMount

    from constellation_engine.cluster.manifests.names import Service

USER: Final = 65532  # of the image
STATUS: Final = "status"  # port for probes and metrics
GRACE: Final = (
    60  # seconds from SIGTERM to SIGKILL; the join service takes 40 at most: requests end, events are written
)
CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What one service's pods need beyond what all have.

    Attributes:
        service: which one.
        image: with its digest.
        arguments: of `constellation-services`.
        ports: name → port that it serves on.
        memory: requested, and the limit, in MiB.
        volumes: what is mounted.
        mounts: where.
        as_root: run as root, without capabilities; a volume holds files that only root may read.
        capabilities: all that a root may do that others may not.
        groups: supplementary groups.
        calls_api_server: give it a token for the API server.
        control_planes_only: not on every node.
        runtime_class: brings devices.
        labels: for network policies.
    """

    service: Service
    image: str
    arguments: tuple[str, ...]
    ports: dict[str, int]
    memory: tuple[int, int]
    volumes: tuple[Volume, ...] = ()
    mounts: tuple[VolumeMount, ...] = ()
    as_root: bool = False
    capabilities: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    calls_api_server: bool = False
    control_planes_only: bool = True
    runtime_class: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


def daemon_set(workload: Workload) -> DaemonSet:
    """Run a pod of a workload on every node that it is for.

    In an update the new pod starts before the old one ends, so a cluster with one control plane has no gap. Where the
    node does not have the new image yet, the old pod goes on, and the new one starts when the node has booted it.
    """
    service = workload.service
    template = PodTemplateSpec(metadata=ObjectMeta(labels={**service.labels, **workload.labels}), spec=_pod(workload))
    spec = DaemonSetSpec(
        selector=LabelSelector(matchLabels=service.selector),
        template=template,
        updateStrategy=DaemonSetUpdateStrategy(
            type="RollingUpdate", rollingUpdate=RollingUpdateDaemonSet(maxSurge=1, maxUnavailable=0)
        ),
        revisionHistoryLimit=3,
    )
    return DaemonSet(metadata=ObjectMeta(name=service, namespace=NAMESPACE, labels=service.labels), spec=spec)


def _pod(workload: Workload) -> PodSpec:
    return PodSpec(
        serviceAccountName=workload.service,
        automountServiceAccountToken=workload.calls_api_server,
        enableServiceLinks=False,
        priorityClassName="system-node-critical",
        runtimeClassName=workload.runtime_class,
        nodeSelector={"kubernetes.io/os": "linux"} | ({CONTROL_PLANE: ""} if workload.control_planes_only else {}),
        tolerations=[Toleration(operator="Exists")],
        terminationGracePeriodSeconds=GRACE,
        securityContext=PodSecurityContext(
            runAsNonRoot=not workload.as_root,
            runAsUser=0 if workload.as_root else USER,
            runAsGroup=USER,
            supplementalGroups=list(workload.groups) or None,
            seccompProfile=SeccompProfile(type="RuntimeDefault"),
        ),
        containers=[_container(workload)],
        volumes=list(workload.volumes) or None,
    )


def _container(workload: Workload) -> Container:
    requested, limit = workload.memory
    ports = {**workload.ports, STATUS: STATUS_PORT}
    return Container(
        name=workload.service,
        image=workload.image,
        imagePullPolicy="Never",  # it is in the node image
        args=[*workload.arguments, f"--status-port={STATUS_PORT}"],
        env=[EnvVar(name="NODE_NAME", valueFrom=EnvVarSource(fieldRef=ObjectFieldSelector(fieldPath="spec.nodeName")))],
        ports=[ContainerPort(name=name, containerPort=port, protocol="TCP") for name, port in ports.items()],
        resources=ResourceRequirements(
            requests={"cpu": "50m", "memory": f"{requested}Mi"},
            limits={"memory": f"{limit}Mi"},  # none for the CPU: a throttled handshake is a failed one
        ),
        startupProbe=_probe("/readyz", period=2, failures=300),  # killed, a slow one starts no faster
        readinessProbe=_probe("/readyz", period=10, failures=2),
        livenessProbe=_probe("/healthz", period=10, failures=6),
        securityContext=SecurityContext(
            allowPrivilegeEscalation=False,
            capabilities=Capabilities(drop=["ALL"], add=list(workload.capabilities) or None),
            privileged=False,
            readOnlyRootFilesystem=True,
        ),
        volumeMounts=list(workload.mounts) or None,
    )


def _probe(path: str, *, period: int, failures: int) -> Probe:
    return Probe(
        httpGet=HTTPGetAction(path=path, port=STATUS), periodSeconds=period, timeoutSeconds=5, failureThreshold=failures
    )
