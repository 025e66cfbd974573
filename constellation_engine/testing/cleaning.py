# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Remove from a cluster what our tests left there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightkube.generic_resource import create_global_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import DaemonSet, Deployment
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap, Event, Namespace, Node, Pod, Secret, ServiceAccount

from constellation_core.cluster_objects import GROUP
from constellation_core.names import NAMESPACE
from constellation_engine.testing.service_accounts import create_if_missing

if TYPE_CHECKING:
    from lightkube import Client


def clean(client: Client) -> None:
    """Leave a cluster with our namespace, empty, and without our custom objects, bootstrap tokens, nodes and pods.

    Definitions of custom resources, roles and bindings stay: they cost more to make than they disturb.

    Args:
        client: of an administrator.
    """
    create_if_missing(client, Namespace(metadata=ObjectMeta(name=NAMESPACE)))
    for pod in client.list(Pod, namespace="*"):
        metadata = pod.metadata or ObjectMeta()
        client.delete(Pod, str(metadata.name), namespace=metadata.namespace, grace_period=0)
    for kind in (ConfigMap, Secret, Lease, Event, ServiceAccount, DaemonSet, Deployment):
        client.deletecollection(kind, namespace=NAMESPACE)
    for secret in client.list(Secret, namespace="kube-system", fields={"type": "bootstrap.kubernetes.io/token"}):
        client.delete(Secret, str((secret.metadata or ObjectMeta()).name), namespace="kube-system")
    client.deletecollection(Node)
    for definition in client.list(CustomResourceDefinition):
        if definition.spec.group == GROUP:
            names, version = definition.spec.names, definition.spec.versions[0].name
            client.deletecollection(create_global_resource(GROUP, version, names.kind, names.plural))
