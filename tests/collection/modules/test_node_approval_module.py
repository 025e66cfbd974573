# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A person's decision about a machine is written once, and only about the machine that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lightkube.models.meta_v1 import ObjectMeta

from constellation_core.cluster_objects import JoinRequestObject
from constellation_engine.cluster.nodes import Decision, find_request
from constellation_engine.testing.kinds import serve_our_kinds
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_engine.testing.control_plane import ControlPlane

IDENTITY = "5e" * 32
NAME = "control-plane-1"


@pytest.fixture
def client(clean_cluster: ControlPlane) -> Client:
    """An administrator of a cluster at which one machine waits."""
    client = clean_cluster.client()
    serve_our_kinds(client)
    spec = {"role": "control-plane", "variant": "qemu-vtpm", "identity": IDENTITY}
    client.create(
        JoinRequestObject(
            apiVersion="constellation.dev/v1",
            kind="JoinRequest",
            metadata=ObjectMeta(name=NAME),
            spec={**spec, "disk": "123e4567-e89b-12d3-a456-426614174000"},
        )
    )
    return client


def decide(cluster: ControlPlane, *, check: bool = False, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - options
    given = {"kubeconfig": str(cluster.kubeconfig()), "name": NAME, **arguments}
    return run_module("node_approval", check=check, **{name: value for name, value in given.items() if value})


def test_it_is_approved_once(client: Client, clean_cluster: ControlPlane) -> None:
    first = decide(clean_cluster, state="approved", identity=IDENTITY[:16].upper())
    assert (first["changed"], first["request"]["decision"]) == (True, "Approved")
    assert first["diff"] == {"before": f"{NAME}: waits\n", "after": f"{NAME}: Approved\n"}
    assert find_request(client, NAME).decision is Decision.APPROVED
    assert not decide(clean_cluster, state="approved")["changed"]
    assert decide(clean_cluster, state="denied")["changed"]


def test_check_mode_says_what_would_be_and_writes_nothing(client: Client, clean_cluster: ControlPlane) -> None:
    predicted = decide(clean_cluster, check=True, state="denied")
    assert find_request(client, NAME).decision is Decision.NONE
    done = decide(clean_cluster, state="denied")
    assert (predicted["changed"], predicted["diff"]) == (True, done["diff"])


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "state"),
        ({"state": "perhaps"}, "state"),
        ({"state": "approved", "identity": "5e5e"}, "Option identity: expected 16 to 64 hex digits"),
        ({"state": "approved", "identity": "6f" * 32}, "another machine asks under this name"),
        ({"state": "approved", "name": "nobody"}, "read JoinRequest nobody"),
        ({"state": "approved", "timeout": -1}, "Option timeout: expected at least one second"),
        ({"state": "approved", "workspace": "x"}, "mutually exclusive"),
        ({"state": "approved", "kubeconfig": "/nowhere"}, "no kubeconfig that can be used"),
        ({"state": "approved", "kubeconfig": None, "workspace": "/nowhere"}, "expected the workspace of a cluster"),
        ({"state": "approved", "kubeconfig": None}, "workspace, kubeconfig"),
    ],
)
def test_what_is_wrong_is_named(clean_cluster: ControlPlane, arguments: dict[str, Any], said: str) -> None:
    answer = decide(clean_cluster, **arguments)
    assert answer["failed"]
    assert said.lower() in answer["msg"].lower()
