# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real API server refuses custom objects that are not what their schema says, and every change of who a node is."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightkube.models.meta_v1 import ObjectMeta

from attestation.variant import Variant
from constellation_core.cluster_objects import JoinRequestObject, NodeIdentity, NodeIdentityObject
from constellation_core.roles import Role

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane

Refusal = Callable[[Callable[[], object]], str]

WHO: dict[str, Any] = {
    "role": "worker",
    "variant": "qemu-vtpm",
    "identity": 64 * "a",
    "disk": "11111111-2222-4333-8444-555555555555",
}
NODE: dict[str, Any] = {
    **WHO,
    "identityKind": "TPM name",
    "meshAddress": "10.213.1.7",
    "wireguardPublicKey": base64.b64encode(bytes(range(32))).decode(),
}
KINDS = {"NodeIdentity": (NodeIdentityObject, NODE), "JoinRequest": (JoinRequestObject, WHO)}


def object_of(kind: str, changed: dict[str, Any] | None = None, *, name: str = "") -> Any:  # noqa: ANN401 - has no type
    model, spec = KINDS[kind]
    fields = {key: value for key, value in {**spec, **(changed or {})}.items() if value is not None}
    metadata = ObjectMeta(name=name or f"node-{uuid.uuid4()}")
    return model(apiVersion="constellation.dev/v1", kind=kind, metadata=metadata, spec=fields)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", Variant, ids=str)
@pytest.mark.parametrize("role", Role)
def test_every_role_and_platform_is_known(cluster: ControlPlane, kind: str, variant: Variant, role: Role) -> None:
    cluster.client().create(object_of(kind, {"role": role.value, "variant": variant.value}))


MESH_KEYS = st.binary(min_size=32, max_size=32).map(lambda key: base64.b64encode(key).decode())
ADDRESSES = st.lists(st.ip_addresses().map(str), max_size=16, unique=True)


@given(key=MESH_KEYS, addresses=ADDRESSES)
def test_what_the_join_service_writes_is_read_back(cluster: ControlPlane, key: str, addresses: list[str]) -> None:
    spec = {"wireguardPublicKey": key, "addresses": addresses, "hostKey": "ssh-ed25519 A"}
    written = NodeIdentity.from_object(object_of("NodeIdentity", spec))
    assert NodeIdentity.from_object(cluster.client().create(written.to_object(annotations={}))) == written


WRONG = [
    ("role", "master"),
    ("role", ""),
    ("variant", "qemu"),
    ("identity", 63 * "a"),
    ("identity", 64 * "A"),
    ("identity", 63 * "a" + "g"),
    ("identity", 64 * "a" + "\n"),
    ("disk", "11111111222243338444555555555555"),
    ("disk", "11111111-2222-4333-8444-55555555555G"),
    ("disk", "AAAAAAAA-2222-4333-8444-555555555555"),
]
WRONG_NODE = [
    ("wireguardPublicKey", base64.b64encode(bytes(31)).decode()),
    ("wireguardPublicKey", 43 * "A" + "B="),
    ("wireguardPublicKey", 42 * "A" + "B="),
    ("meshAddress", "10.213.1.256"),
    ("meshAddress", "10.213.1"),
    ("meshAddress", "10.213.1.7/16"),
    ("meshAddress", "fd00::1"),
    ("identityKind", 33 * "a"),
    ("hostKey", 4097 * "a"),
    ("addresses", [str(number) for number in range(17)]),
    ("addresses", ["192.0.2.1", "192.0.2.1"]),
    ("addresses", "192.0.2.1"),
]
CASES = [(kind, *case) for kind in KINDS for case in WRONG] + [("NodeIdentity", *case) for case in WRONG_NODE]


@pytest.mark.parametrize("kind, field, value", [*CASES, ("JoinRequest", "decision", "approved")])
def test_a_wrong_value_is_refused(
    cluster: ControlPlane, refusal: Refusal, kind: str, field: str, value: object
) -> None:
    assert f"spec.{field}" in refusal(lambda: cluster.client().create(object_of(kind, {field: value})))


@pytest.mark.parametrize("kind, field", [(kind, field) for kind, (_, spec) in KINDS.items() for field in spec])
def test_a_missing_field_is_refused(cluster: ControlPlane, refusal: Refusal, kind: str, field: str) -> None:
    assert f"spec.{field}: Required" in refusal(lambda: cluster.client().create(object_of(kind, {field: None})))


def test_an_object_without_a_spec_is_refused(cluster: ControlPlane, refusal: Refusal) -> None:
    empty = object_of("NodeIdentity")
    del empty["spec"]
    assert "spec: Required" in refusal(lambda: cluster.client().create(empty))


OTHERS = {
    "role": "control-plane",
    "variant": "qemu-snp",
    "identity": 64 * "b",
    "disk": "11111111-2222-4333-8444-666666666666",
    "identityKind": "chip id",
    "meshAddress": "10.213.1.8",
}


@pytest.mark.parametrize(
    "kind, field", [(kind, field) for kind, (_, spec) in KINDS.items() for field in OTHERS if field in spec]
)
def test_who_a_node_is_never_changes(cluster: ControlPlane, refusal: Refusal, kind: str, field: str) -> None:
    created = cluster.client().create(object_of(kind))
    created["spec"][field] = OTHERS[field]
    assert "cannot change" in refusal(lambda: cluster.client().replace(created))


def test_a_node_may_get_another_mesh_key_and_address(cluster: ControlPlane) -> None:
    created = cluster.client().create(object_of("NodeIdentity"))
    created["spec"] |= {"wireguardPublicKey": base64.b64encode(bytes(32)).decode(), "addresses": ["192.0.2.7"]}
    assert cluster.client().replace(created)["spec"]["addresses"] == ["192.0.2.7"]


def test_whoever_writes_the_spec_does_not_write_the_status(cluster: ControlPlane) -> None:
    wanted = object_of("JoinRequest")
    wanted["status"] = {"phase": "Admitted"}
    assert "status" not in cluster.client().create(wanted)


def test_the_phase_of_a_request_is_one_of_four(cluster: ControlPlane, refusal: Refusal) -> None:
    created = cluster.client().create(object_of("JoinRequest", name="lost"))
    wrong = JoinRequestObject.Status(**{**created, "status": {"phase": "Lost"}})
    assert "status.phase" in refusal(lambda: cluster.client().replace(wrong, "lost"))


def kubectl(cluster: ControlPlane, *words: str) -> str:
    command = [str(cluster.kubectl), "--kubeconfig", str(cluster.kubeconfig()), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_person_approves_with_kubectl(cluster: ControlPlane) -> None:
    assert cluster.client().create(object_of("JoinRequest", name="waiting"))["spec"]["decision"] == ""
    approval = json.dumps({"spec": {"decision": "Approved"}})
    kubectl(cluster, "patch", "joinrequest", "waiting", "--type=merge", "-p", approval)
    assert cluster.client().get(JoinRequestObject, "waiting")["spec"]["decision"] == "Approved"


@pytest.mark.parametrize(
    "short, columns",
    [
        ("nid", ["NAME", "ROLE", "VARIANT", "IDENTITY", "DISK", "MESH", "LAST-TICKET", "AGE"]),
        ("jr", ["NAME", "ROLE", "VARIANT", "IDENTITY", "DECISION", "PHASE", "AGE"]),
    ],
)
def test_people_see_what_matters(cluster: ControlPlane, short: str, columns: list[str]) -> None:
    cluster.client().create(object_of("NodeIdentity"))
    cluster.client().create(object_of("JoinRequest"))
    assert kubectl(cluster, "get", short).splitlines()[0].split() == columns


def test_one_word_names_all_kinds(cluster: ControlPlane) -> None:
    cluster.client().create(object_of("NodeIdentity", name="seen-by-category"))
    assert "nodeidentity.constellation.dev/seen-by-category" in kubectl(cluster, "get", "constellation", "-o", "name")


def test_nodes_are_found_by_their_disk(cluster: ControlPlane) -> None:
    disk = str(uuid.uuid4())
    cluster.client().create(object_of("NodeIdentity", {"disk": disk}, name="with-this-disk"))
    found = cluster.client().list(NodeIdentityObject, fields={"spec.disk": disk})
    assert [NodeIdentity.from_object(node).name for node in found] == ["with-this-disk"]
