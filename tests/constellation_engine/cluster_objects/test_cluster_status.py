# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a cluster is, by the word of a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lightkube.models.apps_v1 import DaemonSetSpec
from lightkube.models.core_v1 import Container, EventSource, ObjectReference, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import DaemonSet
from lightkube.resources.apps_v1 import DaemonSetStatus as DaemonSetStatusObject
from lightkube.resources.core_v1 import ConfigMap, Event, Node, Pod, ServiceAccount
from lightkube.resources.core_v1 import NodeStatus as NodeStatusObject
from lightkube.resources.core_v1 import PodStatus as PodStatusObject

from attestation.policy import Policy
from constellation_core.cluster_objects import JoinRequestObject
from constellation_core.join_config import JoinConfig
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.join_config import put
from constellation_engine.cluster.status import ClusterStatus, NamedCondition, RefusalEvent, ServiceStatus
from constellation_engine.cluster.status_reading import read_status
from constellation_engine.errors import ClusterError

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_core.cluster_objects import NodeIdentity

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONFIG = JoinConfig(explicit=(Policy.from_mapping({"variant": "insecure"}),)).to_yaml()
ABOUT = {
    "kubeletVersion": "v1.36.4",
    "osImage": "Constellation 1.0.0",
    **dict.fromkeys(
        ("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "machineID"), "-"
    ),
    "operatingSystem": "linux",
    "systemUUID": "-",
}


def join(client: Client, name: str, *, ready: str = "True", role: str = "") -> None:
    """Make a node that reports."""
    labels = {f"node-role.kubernetes.io/{role}": ""} if role else {}
    client.create(Node(metadata=ObjectMeta(name=name, labels=labels)))
    said: dict[str, Any] = {"type": "Ready", "status": ready, "message": "the kubelet stopped", "reason": "Stopped"}
    status = {"conditions": [said], "nodeInfo": ABOUT, "addresses": [{"type": "InternalIP", "address": "192.0.2.7"}]}
    client.patch(NodeStatusObject, name, {"status": status})


def event(client: Client, name: str, at: datetime, *, component: str = "join-service", kind: str = "Warning") -> None:
    client.create(
        Event(
            metadata=ObjectMeta(name=name, namespace=NAMESPACE),
            involvedObject=ObjectReference(kind="ConfigMap", name="join-config", namespace=NAMESPACE),
            reason="Refused",
            message=f"a machine at {name} was refused: measurements.4",
            type=kind,
            source=EventSource(component=component),
            lastTimestamp=at,
        )
    )


def service(client: Client, name: str, *, ready: int, wanted: int) -> None:
    labels = {"app": name}
    pods = PodTemplateSpec(
        metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container(name="one", image="none")])
    )
    spec = DaemonSetSpec(selector=LabelSelector(matchLabels=labels), template=pods)
    client.create(DaemonSet(metadata=ObjectMeta(name=name, namespace=NAMESPACE), spec=spec))
    counts = {"desiredNumberScheduled": wanted, "numberReady": ready, "currentNumberScheduled": 0}
    status = {"status": {**counts, "numberMisscheduled": 0}}
    client.patch(DaemonSetStatusObject, name, status, namespace=NAMESPACE)


def missing(status: ClusterStatus) -> dict[str, str]:
    return {condition.name: condition.missing for condition in status.conditions() if not condition.holds}


def test_an_empty_cluster_says_what_is_missing(client: Client) -> None:
    status = read_status(client, NOW)
    assert missing(status) == {
        "all nodes are Ready": "there is no node",
        "the services run": "join-service 0/0, key-service 0/0, verification-service 0/0, storage-service 0/0",
        "join-config holds": "there is none: no machine can join",
    }


def test_a_cluster_that_is_well_misses_nothing(client: Client, worker: NodeIdentity) -> None:
    join(client, worker.name)
    client.create(worker.to_object(annotations={}))
    for name in ("join-service", "key-service", "verification-service", "storage-service"):
        service(client, name, ready=1, wanted=1)
    put(client, CONFIG)
    status = read_status(client, NOW)
    assert missing(status) == {}
    assert status.join_config.accepts == ("a policy for insecure",)
    assert status.join_config.changed_at is not None


def test_a_node_says_what_it_is(client: Client, worker: NodeIdentity) -> None:
    join(client, worker.name, role="control-plane")
    client.create(worker.to_object(annotations={}))
    (node,) = read_status(client, NOW).nodes
    assert node.to_mapping() == {
        "name": "worker-1",
        "ready": True,
        "reason": None,
        "role": "control-plane",
        "kubernetes": "v1.36.4",
        "image": "Constellation 1.0.0",
        "addresses": ["192.0.2.7"],
        "identity": worker.identity,
    }


def test_a_node_that_is_not_ready_says_why(client: Client) -> None:
    join(client, "worker-1", ready="False")
    client.create(Node(metadata=ObjectMeta(name="worker-2")))
    said = missing(read_status(client, NOW))["all nodes are Ready"]
    assert said == "worker-1 (the kubelet stopped), worker-2 (it never reported)"


def test_who_was_not_attested_is_named_and_so_is_who_is_gone(client: Client, worker: NodeIdentity) -> None:
    join(client, "smuggled")
    client.create(worker.to_object(annotations={}))
    said = missing(read_status(client, NOW))["every node was attested"]
    assert said == "smuggled (nobody attested it), worker-1 (was let in, and is no node)"


def test_a_service_that_does_not_run_everywhere_is_counted(client: Client) -> None:
    service(client, "join-service", ready=1, wanted=3)
    status = read_status(client, NOW)
    assert status.services[0] == ServiceStatus("join-service", 1, 3)
    assert "join-service 1/3" in missing(status)["the services run"]


def test_a_pod_that_does_not_run_is_named(client: Client) -> None:
    client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace=NAMESPACE)))
    for name, phase in (("waits", "Pending"), ("done", "Succeeded")):
        metadata = ObjectMeta(name=name, namespace=NAMESPACE)
        client.create(Pod(metadata=metadata, spec=PodSpec(containers=[Container(name="one", image="none")])))
        client.patch(PodStatusObject, name, {"status": {"phase": phase}}, namespace=NAMESPACE)
    assert missing(read_status(client, NOW))["all pods run"] == f"{NAMESPACE}/waits"


def test_a_newer_join_config_that_is_refused_is_shown_beside_the_one_that_holds(client: Client) -> None:
    put(client, CONFIG)
    client.patch(ConfigMap, "join-config", {"data": {"join-config.yaml": "version: 2"}}, namespace=NAMESPACE)
    config = read_status(client, NOW).join_config
    assert config.accepts == ("a policy for insecure",)
    assert "revision 1 holds" in config.problem


def test_a_join_config_that_never_was_usable_lets_nobody_in(client: Client) -> None:
    metadata = ObjectMeta(name="join-config", namespace=NAMESPACE)
    client.create(ConfigMap(metadata=metadata, data={"join-config.yaml": "{"}))
    config = read_status(client, NOW).join_config
    assert (config.accepts, config.problem[-19:]) == ((), "no machine can join")


def test_refusals_of_the_last_hour_are_shown_newest_first(client: Client) -> None:
    event(client, "older", NOW - timedelta(minutes=50))
    event(client, "newer", NOW - timedelta(minutes=1))
    event(client, "long-ago", NOW - timedelta(minutes=61))
    event(client, "somebody-else", NOW, component="kubelet")
    event(client, "good-news", NOW, kind="Normal")
    refusals = read_status(client, NOW).refusals
    assert [one.message.split()[3] for one in refusals] == ["newer", "older"]
    assert refusals[0] == RefusalEvent(
        NOW - timedelta(minutes=1), "Refused", "a machine at newer was refused: measurements.4"
    )


def test_whoever_waits_for_a_person_is_shown(client: Client) -> None:
    who = {
        "role": "control-plane",
        "variant": "qemu-vtpm",
        "identity": "ab" * 32,
        "disk": "6d1f8a5e-35a5-4a3f-9c0d-0a4b3d2e1f00",
    }
    kind: dict[str, str] = {"apiVersion": "constellation.dev/v1", "kind": "JoinRequest"}
    client.create(JoinRequestObject(**kind, metadata=ObjectMeta(name="control-plane-1"), spec=who))
    status = read_status(client, NOW)
    assert [request.name for request in status.requests] == ["control-plane-1"]
    assert "approval" not in str(missing(status))


def test_who_may_not_ask_is_told(somebody: Client) -> None:
    with pytest.raises(ClusterError, match="forbidden"):
        read_status(somebody, NOW)


def test_long_lists_are_cut(client: Client) -> None:
    for index in range(10):
        client.create(Node(metadata=ObjectMeta(name=f"worker-{index}")))
    assert missing(read_status(client, NOW))["all nodes are Ready"].endswith("worker-7 (it never reported) and 2 more")


def test_a_condition_is_plain_data() -> None:
    assert NamedCondition("it is so").to_mapping() == {"name": "it is so", "ok": True, "missing": None}
    assert not NamedCondition("it is so", "much").holds
