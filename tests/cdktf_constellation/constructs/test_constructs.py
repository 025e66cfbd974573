# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Constructs write what the model says, inside programs that use CDK Terrain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from constructs import Construct

from cdktf_constellation import model
from cdktf_constellation.constructs import (
    AttestationPolicy,
    ClusterVerification,
    ConfidentialCluster,
    ConstellationStack,
    LocalMachines,
    NodeImage,
)
from cdktf_constellation.constructs.typed import library
from cdktf_constellation.errors import InvalidDescriptionError, NotFoundError
from cdktf_constellation.inspection import Written

if TYPE_CHECKING:
    from cdktn import App
    from constructs import Construct as Scope


@pytest.fixture(scope="module")
def app() -> App:
    testing: Any = library.Testing  # some of its types are hidden by a decorator
    made: App = testing.app()
    return made


@pytest.fixture
def stack(app: App, request: pytest.FixtureRequest) -> ConstellationStack:
    return ConstellationStack(app, request.node.name.replace("_", "-"))


def machines_in(scope: Scope, label: str = "machines", **change: Any) -> LocalMachines:  # noqa: ANN401 - any argument
    return LocalMachines(scope, model.LocalMachines(label, workspace="w", image="i", **change))


def test_a_construct_writes_its_description(stack: ConstellationStack) -> None:
    description = model.LocalMachines("machines", workspace="w", image="i", workers=2)
    LocalMachines(stack, description)
    assert Written.of(stack).only("constellation_local_machines") == description.to_terraform()


def test_constructs_refer_to_one_another(stack: ConstellationStack) -> None:
    image = NodeImage(stack, model.NodeImage("image"))
    policy = AttestationPolicy(stack, model.AttestationPolicy("policy", image=image.image))
    machines = machines_in(stack)
    ConfidentialCluster(stack, model.ConfidentialCluster.on(machines, "c", attestation=policy.attestation))
    body = Written.of(stack).only("constellation_cluster")
    assert body["attestation"] == "${data.constellation_attestation.policy.attestation}"
    assert body["uid"] == "${constellation_local_machines.machines.uid}"


def test_labels_in_nested_constructs_are_unique(stack: ConstellationStack) -> None:
    places = [machines_in(Construct(stack, name)) for name in ("east", "west")]
    written = Written.of(stack).blocks("constellation_local_machines")
    assert {f"constellation_local_machines.{label}" for label in written} == {place.address for place in places}
    assert len(written) == 2
    with pytest.raises(NotFoundError, match="found east_machines_"):
        Written.of(stack).only("constellation_local_machines")


def test_meta_arguments_reach_terraform(stack: ConstellationStack) -> None:
    first = machines_in(stack)
    lifecycle = model.Lifecycle(prevent_destroy=True, ignore_changes=["workers"])
    machines_in(stack, "second", depends_on=[first], lifecycle=lifecycle, count=2, overrides={"new": 1})
    body = Written.of(stack).blocks("constellation_local_machines")["second"]
    assert body["depends_on"] == ["constellation_local_machines.machines"]
    assert body["lifecycle"] == {"prevent_destroy": True, "ignore_changes": ["workers"]}
    assert (body["count"], body["new"]) == (2, 1)


def test_the_library_can_override_too(stack: ConstellationStack) -> None:
    machines_in(stack).add_override("workers", 5)
    assert Written.of(stack).only("constellation_local_machines")["workers"] == 5


def test_a_verification_brings_its_check(stack: ConstellationStack) -> None:
    ClusterVerification(stack, model.ClusterVerification("all_nodes", workspace="w"))
    check = Written.of(stack).document["check"]["all_nodes"]["assert"]
    assert check[0]["condition"] == "${data.constellation_verification.all_nodes.accepted}"


def test_the_stack_requires_the_provider(stack: ConstellationStack) -> None:
    machines_in(stack)
    required = Written.of(stack).document["terraform"]["required_providers"]
    assert required == {"constellation": {"source": "constellation-kubernetes/constellation"}}


def test_the_stack_may_require_a_version(stack: ConstellationStack) -> None:
    stack.add_override("terraform.required_providers.constellation.version", ">= 1")
    machines_in(stack)
    assert Written.of(stack).document["terraform"]["required_providers"]["constellation"]["version"] == ">= 1"


def test_a_wrong_description_leaves_no_construct(stack: ConstellationStack) -> None:
    with pytest.raises(InvalidDescriptionError):
        machines_in(stack, workers=-1)
    assert "resource" not in Written.of(stack).document
