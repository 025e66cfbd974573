# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real API server with our objects in it, and its users."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pytest
from lightkube import ApiError, Client
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Pod, ServiceAccount

from attestation.variant import Variant
from constellation_core.cluster_objects import JoinRequestObject, NodeIdentityObject
from constellation_core.conditions import Condition, wait_for
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.manifests import manifests
from constellation_engine.cluster.manifests.access import NODES
from constellation_engine.cluster.manifests.evidence import RUNTIME_CLASS
from constellation_engine.cluster.manifests.names import Service
from constellation_engine.testing.cleaning import clean
from constellation_engine.testing.service_accounts import create_if_missing

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane

IMAGE: Final = "constellation-services@sha256:" + 64 * "a"

UserClient = Callable[[str], Client]


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """An API server with all objects of ours, those for wrapped keys too."""
    client = control_plane.client()
    clean(client)
    for manifest in manifests(image=IMAGE, variant=Variant.QEMU_VTPM, wraps_keys=True):
        client.apply(manifest, field_manager="constellation")
    for namespace in ("default", NAMESPACE):  # as a controller does
        create_if_missing(client, ServiceAccount(metadata=ObjectMeta(name="default", namespace=namespace)))
    wait_for([_kinds_are_served(client), _policies_take_effect(client)], timeout=30)
    return control_plane


def _kinds_are_served(client: Client) -> Condition:
    def check() -> None:
        for kind in (NodeIdentityObject, JoinRequestObject):
            list(client.list(kind))

    return Condition("our kinds of objects are served", check, (ApiError,))


def _policies_take_effect(client: Client) -> Condition:
    def check() -> str | None:
        try:
            client.create(_pod_with_devices("default"), dry_run=True)
        except ApiError as error:
            return None if "is for pods in" in str(error) else str(error)
        return "a pod in another namespace gets devices"

    return Condition("admission policies take effect", check)


def _pod_with_devices(namespace: str) -> Pod:
    spec = PodSpec(containers=[Container(name="main", image=IMAGE)], runtimeClassName=RUNTIME_CLASS)
    return Pod(metadata=ObjectMeta(name="wants-devices", namespace=namespace), spec=spec)


@pytest.fixture
def pod_with_devices() -> Callable[[str], Pod]:
    """Makes a pod of a namespace that wants the devices that sign evidence."""
    return _pod_with_devices


@pytest.fixture(scope="module")
def as_user(cluster: ControlPlane) -> UserClient:
    """Gives a client that is one of our service accounts, by a real token, or the kubelet "node"."""

    def client(user: str) -> Client:
        if user == "node":
            return cluster.client(cluster.kubeconfig("system:node:worker-0", [NODES]))
        return cluster.client(cluster.token_kubeconfig(cluster.token(Service(user))))

    return client


@pytest.fixture(scope="session")
def refusal() -> Callable[[Callable[[], object]], str]:
    """Says how the API server refuses a call: status and message."""

    def call(attempt: Callable[[], object]) -> str:
        with pytest.raises(ApiError) as raised:
            attempt()
        return f"{raised.value.status.code}: {raised.value.status.message}"

    return call
