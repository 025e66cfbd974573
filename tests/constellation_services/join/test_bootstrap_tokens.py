# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A bootstrap token is worth something for a while, and nothing as soon as its node is there."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node, Secret
from lightkube.types import PatchType

from constellation_core.cluster_objects import NODE_LABEL, TOKEN_ANNOTATION, NodeIdentityObject
from constellation_core.testing.watching import until
from constellation_services.join import service as join_service
from constellation_services.join.tokens import LIFETIME, SYSTEM_NAMESPACE, Tokens, new_token
from tests.constellation_services.join.world import Cluster, name_of, user_of

if TYPE_CHECKING:
    from constellation_proto import join_pb2


@pytest.fixture(autouse=True)
def sweeps_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_service, "SWEEP", 0.05)


def is_somebody(cluster: Cluster, ticket: join_pb2.Ticket) -> bool:
    """Whether the API server takes a token. Asked once: it remembers for ten seconds whom it knew."""
    with cluster.user(token=ticket.bootstrap_token) as joining, suppress(ApiError):
        return bool(user_of(joining).username)
    return False


def annotate(cluster: Cluster, name: str, note: str | None) -> None:
    change = {"metadata": {"annotations": {TOKEN_ANNOTATION: note}}}
    cluster.client.patch(NodeIdentityObject, name, change, patch_type=PatchType.MERGE)


def appear(cluster: Cluster, name: str) -> None:
    """Do what a kubelet does that used the token."""
    cluster.client.create(Node(metadata=ObjectMeta(name=name)))


def overdue(note: str | None) -> str:
    """The note of the same token, as if it was made long ago."""
    return f"{(note or '').partition(' ')[0]} {(datetime.now(UTC) - timedelta(minutes=1)).isoformat()}"


async def test_it_is_withdrawn_when_its_node_is_there(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"), "worker-0")
    appear(cluster, "worker-0")
    await until(lambda: not cluster.tokens())
    assert not is_somebody(cluster, ticket)
    await until(lambda: cluster.token_of("worker-0") is None)


async def test_it_stays_while_only_other_nodes_are_there(cluster: Cluster) -> None:
    first = await cluster.ticket(cluster.machine("b"), "worker-0")
    second = await cluster.ticket(cluster.machine("b"), "worker-1")
    appear(cluster, "worker-0")
    await until(lambda: len(cluster.tokens()) == 1)
    assert not is_somebody(cluster, first)
    assert is_somebody(cluster, second)


async def test_a_node_that_was_there_before_does_not_use_up_a_new_token(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that asks again has not joined again."""
    monkeypatch.setattr("constellation_services.join.tokens._CLOCK_SKEW", timedelta(minutes=-1))
    appear(cluster, "worker-0")
    appear(cluster, "worker-1")
    ticket = await cluster.ticket(cluster.machine("b"), "worker-0")
    await cluster.ticket(cluster.machine("b"), "worker-1")
    annotate(cluster, "worker-1", overdue(cluster.token_of("worker-1")))
    await until(lambda: len(cluster.tokens()) == 1)
    assert is_somebody(cluster, ticket)


async def test_it_is_withdrawn_when_its_time_is_over(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"), "worker-0")
    annotate(cluster, "worker-0", overdue(cluster.token_of("worker-0")))
    await until(lambda: not cluster.tokens())
    assert not is_somebody(cluster, ticket)


async def test_the_api_server_itself_refuses_what_is_over(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"), "worker-0")
    (secret,) = cluster.tokens()
    over = base64.b64encode(b"2020-01-01T00:00:00Z").decode()
    cluster.client.patch(Secret, name_of(secret), {"data": {"expiration": over}}, namespace=SYSTEM_NAMESPACE)
    assert not is_somebody(cluster, ticket)


async def test_a_secret_says_whose_it_is_and_for_how_long(cluster: Cluster) -> None:
    await cluster.ticket(cluster.machine("b"), "worker-0")
    (secret,) = cluster.tokens()
    assert secret.metadata
    assert secret.metadata.labels == {NODE_LABEL: "worker-0"}
    expires = base64.b64decode((secret.data or {})["expiration"]).decode()
    assert datetime.fromisoformat(expires) <= datetime.now(UTC) + LIFETIME


@pytest.mark.parametrize("note", ["", "nonsense", "../../nodes/x 2020-01-01", "abcdef never", "abcdef 2020-01-01"])
async def test_a_note_that_somebody_spoiled_stops_nothing(cluster: Cluster, note: str) -> None:
    await cluster.ticket(cluster.machine("b"), "worker-0")
    annotate(cluster, "worker-0", note)
    await cluster.ticket(cluster.machine("b"), "worker-1")
    appear(cluster, "worker-1")
    await until(lambda: len(cluster.tokens()) == 1)


async def test_a_note_that_changed_meanwhile_is_not_struck_out(empty_cluster: Cluster) -> None:
    """Else the token that it names now would never be withdrawn."""
    async with empty_cluster.service():
        await empty_cluster.ticket(empty_cluster.machine("b"), "worker-0")
    seen, note = empty_cluster.node("worker-0"), new_token().note
    appear(empty_cluster, "worker-0")
    annotate(empty_cluster, "worker-0", note)
    async with empty_cluster.api_client() as client:
        assert await Tokens(client).sweep([seen]) == 1
    assert empty_cluster.token_of("worker-0") == note


async def test_a_token_shows_nothing_of_itself() -> None:
    token = new_token()
    assert token.value.reveal().decode() not in repr(token)
