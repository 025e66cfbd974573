# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node is taken out of service and given back, as a real API server sees it. No kubelet runs: pods go when told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from lightkube.models.core_v1 import (
    Container,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
    PodCondition,
    PodSpec,
    PodStatus,
)
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta, OwnerReference
from lightkube.models.policy_v1 import PodDisruptionBudgetSpec
from lightkube.resources.core_v1 import Namespace, Node, Pod, ServiceAccount
from lightkube.resources.policy_v1 import PodDisruptionBudget

from constellation_core.conditions import wait_for
from constellation_core.errors import ConditionTimeoutError
from constellation_engine.cluster.draining import HELD, booted_again, emptied, hold, is_held, release
from constellation_engine.errors import ObjectNotFoundError
from constellation_engine.testing.service_accounts import create_if_missing

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_engine.testing.control_plane import ControlPlane

NODE: Final = "worker-0"
SPACE: Final = "drained"
"""Namespace of pods of users."""


@pytest.fixture
def client(clean_cluster: ControlPlane) -> Client:
    client = clean_cluster.client()
    create_if_missing(client, Namespace(metadata=ObjectMeta(name=SPACE)))
    create_if_missing(client, ServiceAccount(metadata=ObjectMeta(name="default", namespace=SPACE)))
    client.deletecollection(PodDisruptionBudget, namespace=SPACE)
    client.create(Node(metadata=ObjectMeta(name=NODE)))
    report(client, boot="one")
    return client


def report(client: Client, *, boot: str, ready: str = "True") -> None:
    """Say what its kubelet would say."""
    info = NodeSystemInfo(
        architecture="amd64",
        bootID=boot,
        containerRuntimeVersion="x",
        kernelVersion="x",
        kubeProxyVersion="",
        kubeletVersion="x",
        machineID="x",
        operatingSystem="linux",
        osImage="x",
        systemUUID="x",
    )
    status = NodeStatus(nodeInfo=info, conditions=[NodeCondition(type="Ready", status=ready)])
    client.patch(Node.Status, NODE, Node.Status(status=status))


def run(client: Client, name: str, node: str = NODE, **metadata: Any) -> None:  # noqa: ANN401 - as the API says
    """Run a pod on a node."""
    spec = PodSpec(containers=[Container(name="c", image="i")], nodeName=node, terminationGracePeriodSeconds=0)
    client.create(Pod(metadata=ObjectMeta(name=name, namespace=SPACE, labels={"app": "a"}, **metadata), spec=spec))
    status = PodStatus(phase="Running", conditions=[PodCondition(type="Ready", status="True")])
    client.patch(Pod.Status, name, Pod.Status(status=status), namespace=SPACE)


def names(client: Client) -> list[str]:
    return sorted(pod.metadata.name or "" for pod in client.list(Pod, namespace=SPACE) if pod.metadata)


def node(client: Client) -> tuple[bool, str]:
    """Give whether it is cordoned, and our annotation."""
    found = client.get(Node, NODE)
    spec, metadata = found.spec or NodeSpec(), found.metadata or ObjectMeta()
    return bool(spec.unschedulable), (metadata.annotations or {}).get(HELD, "")


def test_a_node_is_held_and_given_back(client: Client) -> None:
    assert not is_held(client, NODE)
    assert hold(client, NODE)
    assert (is_held(client, NODE), node(client)) == (True, (True, "one"))
    release(client, NODE)
    assert (is_held(client, NODE), node(client)) == (False, (False, ""))
    release(client, NODE)
    assert node(client) == (False, "")


def test_what_a_person_cordoned_stays_cordoned(client: Client) -> None:
    client.patch(Node, NODE, {"spec": {"unschedulable": True}})
    hold(client, NODE)
    release(client, NODE)
    assert node(client) == (True, "")


def test_it_is_back_when_it_is_ready_in_another_boot(client: Client) -> None:
    hold(client, NODE)
    with pytest.raises(
        ConditionTimeoutError, match="waiting for worker-0"
    ):  # it still looks Ready when its power is cut
        wait_for([booted_again(client, NODE)], timeout=0.1)
    report(client, boot="two", ready="False")
    with pytest.raises(ConditionTimeoutError):
        wait_for([booted_again(client, NODE)], timeout=0.1)
    report(client, boot="two")
    wait_for([booted_again(client, NODE)], timeout=5)


def test_who_was_interrupted_still_knows_the_boot(client: Client) -> None:
    hold(client, NODE)
    report(client, boot="two")
    hold(client, NODE)
    assert node(client) == (True, "one")
    wait_for([booted_again(client, NODE)], timeout=5)


def test_a_node_that_does_not_answer_has_nobody_to_ask(client: Client) -> None:
    report(client, boot="one", ready="Unknown")
    assert not hold(client, NODE)
    assert is_held(client, NODE)


def test_nobody_holds_a_node_that_is_not_there(client: Client) -> None:
    assert not is_held(client, "nobody")
    with pytest.raises(ObjectNotFoundError):
        hold(client, "nobody")


def test_pods_leave_but_those_that_belong_to_the_node(client: Client) -> None:
    run(client, "leaves")
    run(client, "elsewhere", node="worker-1")
    owner = OwnerReference(apiVersion="apps/v1", kind="DaemonSet", name="d", uid="u")
    run(client, "of-a-daemon-set", ownerReferences=[owner])
    run(client, "static", annotations={"kubernetes.io/config.mirror": "x"})
    run(client, "over")
    client.patch(Pod.Status, "over", Pod.Status(status=PodStatus(phase="Succeeded")), namespace=SPACE)
    wait_for([emptied(client, NODE)], timeout=20)
    assert names(client) == ["elsewhere", "of-a-daemon-set", "over", "static"]


def budget(client: Client) -> None:
    """Let no pod go."""
    spec = PodDisruptionBudgetSpec(minAvailable=1, selector=LabelSelector(matchLabels={"app": "a"}))
    client.create(PodDisruptionBudget(metadata=ObjectMeta(name="one", namespace=SPACE), spec=spec))


def test_a_budget_is_obeyed_and_named(client: Client) -> None:
    run(client, "needed")
    budget(client)
    with pytest.raises(ConditionTimeoutError, match=r"worker-0 is empty .*waiting for drained/needed \(.*budget"):
        wait_for([emptied(client, NODE)], timeout=1)
    assert names(client) == ["needed"]


def test_it_goes_on_when_the_budget_allows(client: Client) -> None:
    run(client, "needed")
    budget(client)
    asked = threading.Event()

    def relent() -> None:
        asked.wait(20)
        client.delete(PodDisruptionBudget, "one", namespace=SPACE)

    person = threading.Thread(target=relent)
    person.start()
    wait_for([emptied(client, NODE)], timeout=30, progress=lambda *_: asked.set())
    person.join()
    assert names(client) == []
