# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What descriptions write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cdktf_constellation.errors import DuplicateLabelError
from cdktf_constellation.model import (
    AttestationPolicy,
    ClusterVerification,
    Condition,
    ConfidentialCluster,
    Configuration,
    Lifecycle,
    LocalMachines,
    NetworkConfig,
    NodeImage,
    OnDestroy,
    OnRefusal,
    Output,
    Reference,
    Timeouts,
)

if TYPE_CHECKING:
    from pathlib import Path

MACHINES = LocalMachines("m", workspace="w", image="i")


def test_a_block_says_what_was_given_and_no_more() -> None:
    assert MACHINES.to_terraform() == {"workspace": "w", "image": "i"}


def test_nested_objects_are_written() -> None:
    cluster = ConfidentialCluster(
        "c",
        workspace="w",
        network_config=NetworkConfig(ip_cidr_pod="10.0.0.0/16"),
        on_destroy=OnDestroy.WIPE,
        timeouts=Timeouts(create="1h"),
        api_server_cert_sans=("a", "b"),
        must_be_ready=False,
    )
    assert cluster.to_terraform() == {
        "workspace": "w",
        "network_config": {"ip_cidr_pod": "10.0.0.0/16"},
        "on_destroy": "wipe",
        "timeouts": {"create": "1h"},
        "api_server_cert_sans": ["a", "b"],
    }


def test_an_apply_fails_where_the_cluster_is_not_ready() -> None:
    (condition,) = ConfidentialCluster("c", workspace="w").to_terraform()["lifecycle"]["postcondition"]
    assert condition["condition"] == "${self.ready}"


def test_conditions_of_the_user_stay() -> None:
    own = Condition(condition=Reference.of("self.attested"), error_message="Not attested.")
    cluster = ConfidentialCluster("c", workspace="w", lifecycle=Lifecycle(postcondition=[own], prevent_destroy=True))
    lifecycle = cluster.to_terraform()["lifecycle"]
    assert lifecycle["prevent_destroy"]
    assert [one["condition"] for one in lifecycle["postcondition"]] == ["${self.attested}", "${self.ready}"]


def test_a_cluster_refers_to_its_machines() -> None:
    body = ConfidentialCluster.on(MACHINES, "c").to_terraform()
    assert body["workspace"] == "${constellation_local_machines.m.workspace}"
    assert body["machines"] == "${constellation_local_machines.m.names}"


def test_outputs_are_references() -> None:
    cluster = ConfidentialCluster.on(MACHINES, "c")
    assert cluster.kubeconfig_path == "${constellation_cluster.c.kubeconfig_path}"
    assert cluster.nodes.item(0).attribute("name") == "${constellation_cluster.c.nodes[0].name}"
    assert cluster.nodes.each("name") == "${constellation_cluster.c.nodes[*].name}"
    assert f"{cluster.host}/healthz" == "${constellation_cluster.c.host}/healthz"
    assert NodeImage("i").image.attribute("version") == "${data.constellation_image.i.image.version}"


def test_outputs_of_many_are_lists() -> None:
    assert NodeImage("i", count=2).image == "${data.constellation_image.i[*].image}"
    assert NodeImage("i", for_each=["a"]).image == "${values(data.constellation_image.i)[*].image}"
    assert NodeImage("i", for_each=["a"]).instance("a").attribute("image") == '${data.constellation_image.i["a"].image}'


def test_meta_arguments_are_written() -> None:
    body = NodeImage(
        "i",
        for_each=["b", "a"],
        depends_on=[MACHINES, "module.network", Reference.of("module.disks")],
        provider="constellation.west",
        lifecycle=Lifecycle(
            create_before_destroy=True,
            ignore_changes=["version"],
            replace_triggered_by=[MACHINES.uid, "terraform_data.x"],
            precondition=[Condition(condition=Reference.of("var.ready"), error_message="not ready")],
        ),
    ).to_terraform()
    assert body == {
        "for_each": '${toset(["a", "b"])}',
        "depends_on": ["constellation_local_machines.m", "module.network", "module.disks"],
        "provider": "constellation.west",
        "lifecycle": {
            "create_before_destroy": True,
            "ignore_changes": ["version"],
            "replace_triggered_by": ["constellation_local_machines.m.uid", "terraform_data.x"],
            "precondition": [{"condition": "${var.ready}", "error_message": "not ready"}],
        },
    }


def test_overrides_have_the_last_word() -> None:
    body = LocalMachines("m", workspace="w", image="i", overrides={"workspace": "x", "new.deep": 1}).to_terraform()
    assert body == {"workspace": "x", "image": "i", "new": {"deep": 1}}


def test_a_refused_node_is_a_warning() -> None:
    verification = ClusterVerification.of(ConfidentialCluster.on(MACHINES, "c"), "v")
    document = Configuration(verification).to_terraform()
    assert document["data"]["constellation_verification"]["v"]["depends_on"] == ["constellation_cluster.c"]
    assert document["check"]["v"]["assert"][0]["condition"] == "${data.constellation_verification.v.accepted}"


def test_a_refused_node_stops_the_plan_where_one_wants_that() -> None:
    verification = ClusterVerification("v", workspace="w", on_refusal=OnRefusal.STOP)
    document = Configuration(verification).to_terraform()
    conditions = document["data"]["constellation_verification"]["v"]["lifecycle"]["postcondition"]
    assert conditions == [{"condition": "${self.accepted}", "error_message": "${self.summary}"}]
    assert "check" not in document


def test_a_refused_node_may_have_no_consequence() -> None:
    document = Configuration(ClusterVerification("v", workspace="w", on_refusal=OnRefusal.NOTHING)).to_terraform()
    assert document["data"]["constellation_verification"] == {"v": {"workspace": "w"}}


def test_two_blocks_cannot_have_one_label() -> None:
    with pytest.raises(DuplicateLabelError, match=r"data\.constellation_image\.i twice"):
        Configuration(NodeImage("i"), NodeImage("i"))


def test_a_label_may_be_used_once_a_kind() -> None:
    image = NodeImage("i")
    document = Configuration(image, AttestationPolicy("i", image=image.image), version=">= 1").to_terraform()
    assert sorted(document["data"]) == ["constellation_attestation", "constellation_image"]
    assert document["terraform"]["required_providers"]["constellation"]["version"] == ">= 1"


def test_outputs_and_other_blocks_stand_beside(tmp_path: Path) -> None:
    configuration = Configuration(
        MACHINES,
        outputs={"uid": MACHINES.uid, "nodes": Output(value=MACHINES.nodes, description="Nodes.", sensitive=True)},
        extra={"variable": {"size": {"type": "number"}}, "output": {"size": {"value": "${var.size}"}}},
    )
    place = configuration.write(tmp_path / "new")
    document = json.loads(place.read_text(encoding="utf-8"))
    assert document["output"] == {
        "uid": {"value": "${constellation_local_machines.m.uid}"},
        "nodes": {"value": "${constellation_local_machines.m.nodes}", "description": "Nodes.", "sensitive": True},
        "size": {"value": "${var.size}"},
    }
    assert document["variable"] == {"size": {"type": "number"}}
    assert place.read_text(encoding="utf-8") == configuration.to_json()
