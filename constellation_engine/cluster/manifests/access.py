# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who may do what at the API server: a service account for each service, with as little as it needs.

| who | may |
|---|---|
| join-service | write NodeIdentity, make JoinRequest, hold leases, make bootstrap tokens and delete them |
| key-service | ask whose a token is; keep wrapped keys where a key management service wraps them |
| verification-service | nothing: it has no token |
| storage-service | read claims and volumes, make volumes and delete them, write events |
| group system:nodes | read NodeIdentity, with the client certificate of the kubelet |

RBAC knows no types of Secrets and no patterns of names; `constellation_engine.cluster.manifests.admission` narrows what
it must leave wide. https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.models.rbac_v1 import PolicyRule, RoleRef, Subject
from lightkube.resources.core_v1 import ServiceAccount
from lightkube.resources.rbac_authorization_v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding

from constellation_core.cluster_objects import GROUP
from constellation_core.names import NAMESPACE
from constellation_engine.cluster.manifests.names import PART_OF, SYSTEM_NAMESPACE, Service

if TYPE_CHECKING:
    from constellation_engine.cluster.manifests.manifest import Manifest

NODES: Final = "system:nodes"
READ: Final = ["get", "list", "watch"]

_RBAC: Final = "rbac.authorization.k8s.io"


def access(*, wraps_keys: bool) -> list[Manifest]:
    """Give the service accounts, their roles, and the one of the nodes.

    Args:
        wraps_keys: keys are wrapped by a key management service and kept as Secrets.
    """
    return [
        *(_service_account(service) for service in Service),
        *_in_cluster(Service.JOIN, _JOIN_IN_CLUSTER),
        *_in_namespace(Service.JOIN, NAMESPACE, _JOIN_IN_NAMESPACE),
        *_in_namespace(Service.JOIN, SYSTEM_NAMESPACE, _JOIN_BOOTSTRAP_TOKENS),
        *_in_cluster(Service.KEYS, _KEYS_IN_CLUSTER),
        *(_in_namespace(Service.KEYS, NAMESPACE, _KEYS_WRAPPED) if wraps_keys else []),
        *_in_cluster(Service.STORAGE, _STORAGE_IN_CLUSTER),
        *access_of_nodes(),
    ]


def access_of_nodes() -> list[Manifest]:
    """Give the role of the nodes themselves."""
    nodes = Subject(kind="Group", name=NODES, apiGroup=_RBAC)
    return _bound_in_cluster("constellation-nodes", nodes, _NODES_IN_CLUSTER)


def _ours(resources: list[str], verbs: list[str]) -> PolicyRule:
    return PolicyRule(apiGroups=[GROUP], resources=resources, verbs=verbs)


def _core(resources: list[str], verbs: list[str], *, names: list[str] | None = None) -> PolicyRule:
    return PolicyRule(apiGroups=[""], resources=resources, verbs=verbs, resourceNames=names)


_JOIN_IN_CLUSTER: Final = [
    _ours(["nodeidentities"], [*READ, "create", "update", "patch"]),
    _ours(["joinrequests"], ["get", "create"]),  # the decision is a person's
    _ours(["nodeidentities/status", "joinrequests/status"], ["patch"]),
    _core(["nodes"], ["get", "list"]),
]

_JOIN_IN_NAMESPACE: Final = [
    PolicyRule(apiGroups=["coordination.k8s.io"], resources=["leases"], verbs=["get", "create", "update"]),
    _core(["configmaps"], READ),  # one is called components-<SHA-256>, which RBAC cannot know
    _core(["configmaps"], ["update"], names=["join-config-history"]),  # it is there: see `namespace`
    _core(["events"], ["create"]),
]

_JOIN_BOOTSTRAP_TOKENS: Final = [_core(["secrets"], ["create", "delete"])]

_KEYS_IN_CLUSTER: Final = [
    PolicyRule(apiGroups=["authentication.k8s.io"], resources=["tokenreviews"], verbs=["create"])
]

_KEYS_WRAPPED: Final = [_core(["secrets"], ["get", "create"])]

_STORAGE_IN_CLUSTER: Final = [
    _core(["persistentvolumeclaims"], READ),
    _core(["persistentvolumes"], [*READ, "create", "delete"]),
    _core(["events"], ["create"]),  # they are where their claims are
]

# Who its peers are, and which addresses their pods have: since 1.34 Kubernetes shows a kubelet its own Node only.
_NODES_IN_CLUSTER: Final = [_ours(["nodeidentities"], READ), _core(["nodes"], READ)]


def _service_account(service: Service) -> ServiceAccount:
    return ServiceAccount(metadata=_metadata(service, NAMESPACE), automountServiceAccountToken=False)


def _in_cluster(service: Service, rules: list[PolicyRule]) -> list[Manifest]:
    return _bound_in_cluster(f"constellation-{service}", _subject(service), rules)


def _bound_in_cluster(name: str, subject: Subject, rules: list[PolicyRule]) -> list[Manifest]:
    reference = RoleRef(apiGroup=_RBAC, kind="ClusterRole", name=name)
    return [
        ClusterRole(metadata=_metadata(name), rules=rules),
        ClusterRoleBinding(metadata=_metadata(name), roleRef=reference, subjects=[subject]),
    ]


def _in_namespace(service: Service, namespace: str, rules: list[PolicyRule]) -> list[Manifest]:
    name = f"constellation-{service}"
    reference = RoleRef(apiGroup=_RBAC, kind="Role", name=name)
    return [
        Role(metadata=_metadata(name, namespace), rules=rules),
        RoleBinding(metadata=_metadata(name, namespace), roleRef=reference, subjects=[_subject(service)]),
    ]


def _subject(service: Service) -> Subject:
    return Subject(kind="ServiceAccount", name=service, namespace=NAMESPACE)


def _metadata(name: str, namespace: str | None = None) -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace, labels=dict(PART_OF))
