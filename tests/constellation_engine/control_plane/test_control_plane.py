# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The API server of our tests is a real one: it authenticates, it authorises, and it issues tokens."""

from __future__ import annotations

import base64
import json
import stat
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from lightkube import ApiError, Client
from lightkube.models.authentication_v1 import TokenReviewSpec
from lightkube.models.core_v1 import NodeSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authentication_v1 import TokenReview
from lightkube.resources.core_v1 import ConfigMap, Namespace, Node, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from constellation_engine.testing.control_plane import ControlPlane

NAMESPACE = "constellation-system"


def refusal(call: Callable[[], object]) -> int:
    with pytest.raises(ApiError) as caught:
        call()
    return int(caught.value.status.code or 0)


def review(client: Client, token: str, audience: str) -> TokenReview:
    spec = TokenReviewSpec(token=token, audiences=[audience])
    return client.create(TokenReview(metadata=ObjectMeta(), spec=spec))


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    record: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return record


def test_the_administrator_may_do_everything(clean_cluster: ControlPlane) -> None:
    assert clean_cluster.client().get(Namespace, NAMESPACE).metadata


async def test_clients_come_in_both_kinds(clean_cluster: ControlPlane) -> None:
    async with clean_cluster.async_client() as client:
        assert (await client.get(Namespace, NAMESPACE)).metadata


def test_somebody_may_do_nothing(clean_cluster: ControlPlane) -> None:
    client = clean_cluster.client(clean_cluster.kubeconfig("somebody"))
    assert refusal(lambda: client.get(Secret, "x", namespace=NAMESPACE)) == HTTPStatus.FORBIDDEN


def test_a_node_may_register_itself_and_nobody_else(clean_cluster: ControlPlane) -> None:
    client = clean_cluster.client(clean_cluster.kubeconfig("system:node:worker-1", ["system:nodes"]))
    client.create(Node(metadata=ObjectMeta(name="worker-1"), spec=NodeSpec()))
    other = Node(metadata=ObjectMeta(name="worker-2"), spec=NodeSpec())
    assert refusal(lambda: client.create(other)) == HTTPStatus.FORBIDDEN


def test_a_user_has_one_kubeconfig(control_plane: ControlPlane) -> None:
    path = control_plane.kubeconfig("somebody", ["some:group"])
    assert path == control_plane.kubeconfig("somebody", ["some:group"])
    assert path != control_plane.kubeconfig("somebody", ["another:group"])


def test_secrets_are_for_their_owner(control_plane: ControlPlane) -> None:
    control_plane.kubeconfig()
    keys = [*control_plane.directory.rglob("*.key"), *control_plane.directory.rglob("*.conf")]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_token_names_account_pod_and_node(clean_cluster: ControlPlane) -> None:
    token = clean_cluster.token("join-service", "constellation-keys", pod="join-1", node="cp-1", seconds=600)
    status = review(clean_cluster.client(), token, "constellation-keys").status
    assert status
    assert status.authenticated
    assert status.user
    assert status.user.username == f"system:serviceaccount:{NAMESPACE}:join-service"
    extra = status.user.extra or {}
    assert extra["authentication.kubernetes.io/pod-name"] == ["join-1"]
    assert extra["authentication.kubernetes.io/node-name"] == ["cp-1"]


def test_a_token_is_good_for_its_audience_only(clean_cluster: ControlPlane) -> None:
    token = clean_cluster.token("join-service", "constellation-keys")
    status = review(clean_cluster.client(), token, "others").status
    assert status
    assert not status.authenticated


def test_a_token_lives_as_long_as_asked(clean_cluster: ControlPlane) -> None:
    claimed = claims(clean_cluster.token("join-service", seconds=1200))
    assert claimed["exp"] - claimed["iat"] == 1200


def test_a_token_dies_with_its_pod(clean_cluster: ControlPlane) -> None:
    token = clean_cluster.token("join-service", "constellation-keys", pod="join-1")
    clean_cluster.clean()
    status = review(clean_cluster.client(), token, "constellation-keys").status
    assert status
    assert not status.authenticated


def test_a_service_account_is_somebody(clean_cluster: ControlPlane) -> None:
    kubeconfig = clean_cluster.token_kubeconfig(clean_cluster.token("join-service"))
    client = clean_cluster.client(kubeconfig)
    assert refusal(lambda: client.get(Secret, "x", namespace=NAMESPACE)) == HTTPStatus.FORBIDDEN


def test_a_bootstrap_token_is_somebody(clean_cluster: ControlPlane) -> None:
    secret = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
    }
    metadata = ObjectMeta(name="bootstrap-token-abcdef", namespace="kube-system")
    kind = "bootstrap.kubernetes.io/token"
    clean_cluster.client().create(Secret(metadata=metadata, type=kind, stringData=secret))
    client = clean_cluster.client(clean_cluster.token_kubeconfig("abcdef.0123456789abcdef"))
    assert refusal(lambda: client.get(Secret, "x", namespace=NAMESPACE)) == HTTPStatus.FORBIDDEN


def test_nobody_is_nobody(clean_cluster: ControlPlane) -> None:
    client = clean_cluster.client(clean_cluster.token_kubeconfig("abcdef.fedcba9876543210"))
    assert refusal(lambda: client.get(Secret, "x", namespace=NAMESPACE)) == HTTPStatus.UNAUTHORIZED


def test_a_clean_cluster_is_clean(clean_cluster: ControlPlane) -> None:
    client = clean_cluster.client()
    client.create(ConfigMap(metadata=ObjectMeta(name="left", namespace=NAMESPACE)))
    clean_cluster.clean()
    assert list(client.list(ConfigMap, namespace=NAMESPACE)) == []


def test_kubectl_is_of_the_servers_release(control_plane: ControlPlane) -> None:
    versions = json.loads(control_plane.run_kubectl("version", "--output=json"))
    assert versions["clientVersion"]["gitVersion"] == versions["serverVersion"]["gitVersion"]
