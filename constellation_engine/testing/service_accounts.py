# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Tokens of service accounts for tests, as a kubelet projects them into pods.

No controller and no kubelet runs in a test: namespaces, accounts and pods are made here where they do not exist.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from lightkube import ApiError
from lightkube.models.authentication_v1 import BoundObjectReference, TokenRequestSpec
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, Pod, ServiceAccount, ServiceAccountToken

if TYPE_CHECKING:
    from lightkube import Client
    from lightkube.core.resource import GlobalResource, NamespacedResource

NEVER_PULLED: Final = "registry.invalid/nothing"  # a pod must name an image; nobody runs it


def issue_token(
    client: Client, audience: str, seconds: int, *, namespace: str, service_account: str, pod: str, node: str
) -> str:
    """Have the API server issue a token; `ControlPlane.token` says what the arguments are."""
    create_if_missing(client, Namespace(metadata=ObjectMeta(name=namespace)))
    create_if_missing(client, ServiceAccount(metadata=ObjectMeta(name=service_account, namespace=namespace)))
    spec = TokenRequestSpec(audiences=[audience], expirationSeconds=seconds)
    if pod:
        _create_pod(client, namespace, pod, service_account, node)
        uid = client.get(Pod, pod, namespace=namespace).metadata.uid  # type: ignore[union-attr]
        spec.boundObjectRef = BoundObjectReference(apiVersion="v1", kind="Pod", name=pod, uid=uid)
    answer = client.create(
        ServiceAccountToken(metadata=ObjectMeta(), spec=spec), name=service_account, namespace=namespace
    )
    return str(answer.status.token)  # type: ignore[union-attr]


def _create_pod(client: Client, namespace: str, name: str, service_account: str, node: str) -> None:
    containers = [Container(name="main", image=NEVER_PULLED)]
    spec = PodSpec(containers=containers, serviceAccountName=service_account, nodeName=node or None)
    create_if_missing(client, Pod(metadata=ObjectMeta(name=name, namespace=namespace), spec=spec))


def create_if_missing(client: Client, wanted: GlobalResource | NamespacedResource) -> None:
    """Create an object unless one of its name is there."""
    try:
        client.create(wanted)
    except ApiError as error:
        if error.status.code != HTTPStatus.CONFLICT:
            raise
