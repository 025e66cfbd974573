# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Each service may do what it needs and, above all, nothing else: asked of a real API server, and tried."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pytest
from lightkube import Client
from lightkube.models.authorization_v1 import ResourceAttributes, SubjectAccessReviewSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authorization_v1 import SubjectAccessReview
from lightkube.resources.core_v1 import ConfigMap, Pod, Secret
from lightkube.resources.rbac_authorization_v1 import Role

from constellation_core.cluster_objects import NodeIdentityObject
from constellation_core.keys.kubernetes_store import TYPE as WRAPPED_KEY
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.manifests.access import NODES, access
from constellation_engine.cluster.manifests.admission import BOOTSTRAP_TOKEN
from constellation_engine.cluster.manifests.evidence import RUNTIME_CLASS
from constellation_engine.cluster.manifests.names import SYSTEM_NAMESPACE, Service

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane

UserClient = Callable[[str], Client]
Refusal = Callable[[Callable[[], object]], str]

READ: Final = "get list watch"
VERBS: Final = (*READ.split(), "create", "update", "patch", "delete", "deletecollection", "impersonate", "bind")
OF_NAMESPACES: Final = (
    "configmaps",
    "daemonsets.apps",
    "events",
    "leases.coordination.k8s.io",
    "networkpolicies.networking.k8s.io",
    "persistentvolumeclaims",
    "pods",
    "pods/exec",
    "rolebindings.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "secrets",
    "serviceaccounts",
    "serviceaccounts/token",
)
OF_THE_CLUSTER: Final = (
    "certificatesigningrequests.certificates.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
    "groups",
    "joinrequests.constellation.dev",
    "joinrequests.constellation.dev/status",
    "namespaces",
    "nodeidentities.constellation.dev",
    "nodeidentities.constellation.dev/status",
    "nodes",
    "nodes/proxy",
    "persistentvolumes",
    "subjectaccessreviews.authorization.k8s.io",
    "tokenreviews.authentication.k8s.io",
    "users",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
)
PLACES: Final = [
    *itertools.product((NAMESPACE, SYSTEM_NAMESPACE, "default"), OF_NAMESPACES),
    *itertools.product(("",), OF_THE_CLUSTER),
]

GROUPS: Final = {**dict.fromkeys((service.user for service in Service), "system:serviceaccounts"), "node": NODES}
MAY: Final = {
    Service.JOIN: {
        "constellation-system/configmaps": READ,
        "constellation-system/events": "create",
        "constellation-system/leases.coordination.k8s.io": "get create update",
        "kube-system/secrets": "create delete",
        "/nodes": "get list",
        "/nodeidentities.constellation.dev": f"{READ} create update patch",
        "/nodeidentities.constellation.dev/status": "patch",
        "/joinrequests.constellation.dev": "get create",
        "/joinrequests.constellation.dev/status": "patch",
    },
    Service.KEYS: {
        "constellation-system/secrets": "get create",
        "/tokenreviews.authentication.k8s.io": "create",
    },
    Service.VERIFY: {},
    Service.STORAGE: {
        **{f"{namespace}/events": "create" for namespace in (NAMESPACE, SYSTEM_NAMESPACE, "default")},
        **{f"{namespace}/persistentvolumeclaims": READ for namespace in (NAMESPACE, SYSTEM_NAMESPACE, "default")},
        "/persistentvolumes": f"{READ} create delete",
    },
}
"""All that a service may do to objects of any name."""

TOKEN: Final = "kubernetes.io/service-account-token"
ACCOUNT: Final = "kubernetes.io/service-account.name"
"""A Secret of this type gets a token of the account that this annotation names."""


def allowed(client: Client, user: str, verb: str, namespace: str, resource: str, name: str = "") -> bool:
    kind, _, subresource = resource.partition("/")
    plural, _, group = kind.partition(".")
    attributes = ResourceAttributes(
        verb=verb, namespace=namespace, group=group, resource=plural, subresource=subresource, name=name
    )
    groups = [GROUPS[user], "system:authenticated"]
    spec = SubjectAccessReviewSpec(user=user, groups=groups, resourceAttributes=attributes)
    review = client.create(SubjectAccessReview(metadata=ObjectMeta(), spec=spec))
    return review.status is not None and review.status.allowed


@pytest.mark.parametrize("service", Service)
def test_a_service_may_do_this_and_nothing_else(cluster: ControlPlane, service: Service) -> None:
    found = {
        f"{namespace}/{resource}": verbs
        for namespace, resource in PLACES
        if (verbs := {verb for verb in VERBS if allowed(cluster.client(), service.user, verb, namespace, resource)})
    }
    assert found == {place: set(verbs.split()) for place, verbs in MAY[service].items()}


@pytest.mark.parametrize(
    "verb, name, answer",
    [
        ("update", "join-config-history", True),
        ("update", "join-config", False),
        ("patch", "cluster", False),
        ("delete", "join-config-history", False),
    ],
)
def test_the_join_service_and_configuration(cluster: ControlPlane, verb: str, name: str, answer: bool) -> None:
    assert allowed(cluster.client(), Service.JOIN.user, verb, NAMESPACE, "configmaps", name) is answer


@pytest.mark.parametrize("verb", VERBS)
def test_nodes_read_who_is_who_and_write_nothing(cluster: ControlPlane, verb: str) -> None:
    answer = verb in READ.split()
    assert allowed(cluster.client(), "node", verb, "", "nodeidentities.constellation.dev") is answer
    assert not allowed(cluster.client(), "node", verb, "", "nodeidentities.constellation.dev/status")
    assert not allowed(cluster.client(), "node", verb, "", "joinrequests.constellation.dev")


def test_a_node_lists_its_peers_with_the_certificate_of_its_kubelet(as_user: UserClient) -> None:
    assert list(as_user("node").list(NodeIdentityObject)) == []


@pytest.mark.parametrize("service", [Service.JOIN, Service.VERIFY])
def test_key_material_is_not_for_other_services(
    cluster: ControlPlane, as_user: UserClient, refusal: Refusal, service: Service
) -> None:
    cluster.client().apply(secret("key-material", "Opaque"), field_manager="test")
    user = as_user(service)
    assert refusal(lambda: user.get(Secret, "key-material", namespace=NAMESPACE)).startswith("403: ")
    assert refusal(lambda: list(user.list(Secret, namespace=NAMESPACE))).startswith("403: ")


def test_without_a_key_management_service_the_key_service_reads_no_secrets() -> None:
    roles = [name_of(item) for item in access(wraps_keys=False) if isinstance(item, Role)]
    assert "constellation-join-service" in roles
    assert "constellation-key-service" not in roles


def test_verification_reads_nothing(as_user: UserClient, refusal: Refusal) -> None:
    user = as_user(Service.VERIFY)
    assert refusal(lambda: list(user.list(NodeIdentityObject))).startswith("403: ")
    assert refusal(lambda: list(user.list(ConfigMap, namespace=NAMESPACE))).startswith("403: ")


def name_of(item: Role | Secret) -> str:
    return str(item.to_dict()["metadata"]["name"])


def secret(name: str, kind: str, namespace: str = NAMESPACE, *, account: str = "") -> Secret:
    annotations = {ACCOUNT: account} if account else None
    metadata = ObjectMeta(name=name, namespace=namespace, annotations=annotations)
    return Secret(metadata=metadata, type=kind, stringData={"a": "b"})


def test_the_join_service_makes_and_deletes_bootstrap_tokens(as_user: UserClient) -> None:
    user = as_user(Service.JOIN)
    token = user.create(secret("bootstrap-token-abcdef", BOOTSTRAP_TOKEN, SYSTEM_NAMESPACE))
    user.delete(Secret, name_of(token), namespace=SYSTEM_NAMESPACE)


def test_the_join_service_cannot_take_over_a_controller(as_user: UserClient, refusal: Refusal) -> None:
    wanted = secret("stolen", TOKEN, SYSTEM_NAMESPACE, account="clusterrole-aggregation-controller")
    assert f"Secrets of type {BOOTSTRAP_TOKEN}" in refusal(lambda: as_user(Service.JOIN).create(wanted))


def test_the_join_service_deletes_no_other_secrets(
    cluster: ControlPlane, as_user: UserClient, refusal: Refusal
) -> None:
    cluster.client().apply(secret("of-somebody", "Opaque", SYSTEM_NAMESPACE), field_manager="test")
    user = as_user(Service.JOIN)
    answer = refusal(lambda: user.delete(Secret, "of-somebody", namespace=SYSTEM_NAMESPACE))
    assert f"Secrets of type {BOOTSTRAP_TOKEN}" in answer


def test_the_key_service_keeps_wrapped_keys(as_user: UserClient) -> None:
    user = as_user(Service.KEYS)
    user.create(secret("wrapped-key-1", WRAPPED_KEY))
    assert user.get(Secret, "wrapped-key-1", namespace=NAMESPACE).type == WRAPPED_KEY


def test_the_key_service_cannot_become_another_service(as_user: UserClient, refusal: Refusal) -> None:
    wanted = secret("stolen", TOKEN, account=Service.JOIN)
    assert f"Secrets of type {WRAPPED_KEY}" in refusal(lambda: as_user(Service.KEYS).create(wanted))


def test_only_our_namespace_gets_devices(
    cluster: ControlPlane, refusal: Refusal, pod_with_devices: Callable[[str], Pod]
) -> None:
    answer = refusal(lambda: cluster.client().create(pod_with_devices("default"), dry_run=True))
    assert f"runtime class {RUNTIME_CLASS} is for pods in {NAMESPACE} only" in answer
    assert cluster.client().create(pod_with_devices(NAMESPACE), dry_run=True).kind == "Pod"
