# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a description may say, and what is refused: all of it at once, with the provider's words."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdktf_constellation.errors import InvalidDescriptionError
from cdktf_constellation.model import (
    AttestationPolicy,
    ClusterVerification,
    Condition,
    ConfidentialCluster,
    ControlPlaneLimits,
    Lifecycle,
    LocalMachines,
    NetworkConfig,
    NodeGroup,
    NodeImage,
    Reference,
    Timeouts,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "5e" * 32
KEY = "-----BEGIN PUBLIC KEY-----\n"
SOMEWHERE = Reference.of("var.somewhere")


def machines(**change: object) -> LocalMachines:
    values: dict[str, Any] = {"label": "m", "workspace": "w", "image": "i", **change}
    return LocalMachines(**values)


def cluster(**change: object) -> ConfidentialCluster:
    values: dict[str, Any] = {"label": "c", "workspace": "w", **change}
    return ConfidentialCluster(**values)


def image(**change: object) -> NodeImage:
    values: dict[str, Any] = {"label": "i", **change}
    return NodeImage(**values)


def policy(**change: object) -> AttestationPolicy:
    values: dict[str, Any] = {"label": "p", **change}
    return AttestationPolicy(**values)


def verification(**change: object) -> ClusterVerification:
    values: dict[str, Any] = {"label": "v", **change}
    return ClusterVerification(**values)


WRONG: list[tuple[Callable[..., object], dict[str, Any], str]] = [
    (machines, {"label": "1st"}, "label: expected letters, digits, _ and -, beginning with a letter, got '1st'"),
    (machines, {"workspace": ""}, "workspace: expected a text, got ''"),
    (machines, {"workspace": None}, "workspace: expected a text, got None"),
    (machines, {"image": 1}, "image: expected `image` of a NodeImage, or the folder of an image, got 1"),
    (machines, {"image": {"path": None}}, "image: expected `image` of a NodeImage, or the folder of an image, got"),
    (machines, {"name": "My Cluster"}, "name: expected 1 to 32 of a-z, 0-9 and - inside, got 'My Cluster'"),
    (machines, {"control_planes": 2}, "control_planes: expected one of 1, 3, 5, got 2"),
    (machines, {"control_planes": True}, "control_planes: expected a whole number, got True"),
    (machines, {"workers": 33}, "workers: expected 0 to 32, got 33"),
    (machines, {"workers": "two"}, "workers: expected a whole number, got 'two'"),
    (machines, {"cpus": 1}, "cpus: expected 2 to 255, got 1"),
    (machines, {"memory": 1024}, "memory: expected 2048 to 1048576 MiB, got 1024"),
    (machines, {"state_disk": 1}, "state_disk: expected 2048 to 16777216 MiB, got 1"),
    (machines, {"timeouts": "30m"}, "timeouts: expected an object of Timeouts, got '30m'"),
    (machines, {"count": -1}, "count: expected a whole number, at least 0, got -1"),
    (machines, {"count": 1, "for_each": ["a"]}, "count: expected count or for_each, not both"),
    (cluster, {"kubernetes_version": "1.36"}, "kubernetes_version: expected a version as v1.36.4, got '1.36'"),
    (cluster, {"api_server_cert_sans": "a"}, "api_server_cert_sans: expected a list of texts, got 'a'"),
    (cluster, {"api_server_cert_sans": ["a b"]}, "api_server_cert_sans: expected names or IP addresses, and not 'a b'"),
    (cluster, {"master_secret": "5e"}, "master_secret: expected 64 digits 0-9, a-f"),
    (cluster, {"master_secret_salt": SECRET}, "master_secret_salt: expected master_secret or master_secret_wo with it"),
    (cluster, {"master_secret_wo": SECRET}, "master_secret_wo_version: expected a number with master_secret_wo"),
    (
        cluster,
        {"master_secret": SECRET, "master_secret_wo": SECRET, "master_secret_wo_version": 1},
        "master_secret: expected master_secret or master_secret_wo, not both",
    ),
    (cluster, {"join_config": "x: 1"}, "join_config: expected a join-config ("),
    (
        cluster,
        {"join_config": SOMEWHERE, "attestation": SOMEWHERE},
        "join_config: expected join_config or attestation, not both",
    ),
    (cluster, {"on_destroy": "keep"}, "on_destroy: expected one of forget, wipe, got 'keep'"),
    (image, {"profile": "fast"}, "profile: expected one of release, debug, emergency-access, got 'fast'"),
    (image, {"attestation_variant": "sev"}, "attestation_variant: expected one of qemu-vtpm, "),
    (image, {"path": "a", "folder": "b"}, "folder: expected at most one of path, folder, catalogue"),
    (image, {"path": "a", "version": "1"}, "version: expected path or version, not both"),
    (policy, {}, "image: expected exactly one of image, manifest"),
    (policy, {"manifest": "{}", "public_key": KEY}, "signature: expected the signature of the manifest"),
    (policy, {"manifest": "{}", "signature": "TQ=="}, "public_key: expected the key of who builds images"),
    (policy, {"image": SOMEWHERE, "signature": "TQ=="}, "signature: expected a manifest with it"),
    (policy, {"image": SOMEWHERE, "minimum_tcb": {"snp": "1"}}, "minimum_tcb: expected whole numbers by name"),
    (policy, {"image": SOMEWHERE, "minimum_tcb": {"cpu": 1}}, "minimum_tcb: expected versions from 0 to 65535 of "),
    (
        policy,
        {"image": SOMEWHERE, "public_key": "k"},
        "public_key: expected a public key of ECDSA P-256 in PEM, got",
    ),
    (policy, {"image": SOMEWHERE, "extra_policy": "["}, "extra_policy: expected a JSON object, got '['"),
    (policy, {"image": SOMEWHERE, "extra_policy": "[]"}, "extra_policy: expected a JSON object, got '[]'"),
    (verification, {}, "workspace: expected exactly one of workspace, kubeconfig_path, endpoints"),
    (verification, {"endpoints": []}, "endpoints: expected 1 to 1024 elements, got []"),
    (verification, {"endpoints": ["a=b"]}, "endpoints: expected NAME=HOST:PORT, and not 'a=b'"),
    (verification, {"kubeconfig_path": "k"}, "attestations: expected what is acceptable"),
    (verification, {"workspace": "w", "attestations": "p"}, "attestations: expected a list of objects, got 'p'"),
    (verification, {"workspace": "w", "cluster_id": "ab"}, "cluster_id: expected 64 digits 0-9, a-f, got 'ab'"),
    (verification, {"workspace": "w", "timeout": "1d"}, "timeout: expected a duration such as 1h30m, got '1d'"),
    (NetworkConfig, {"ip_cidr_pod": "8.8.8.0/24"}, "ip_cidr_pod: expected a private IPv4 network from /8 to /22"),
    (
        NetworkConfig,
        {"ip_cidr_pod": "10.96.0.0/16"},
        "network_config: expected Services and pods apart from",
    ),
    (NetworkConfig, {"ip_cidr_node": "10.213.7.0/24"}, "network_config: expected nodes and mesh apart"),
    (ControlPlaneLimits, {"max": 8}, "max: expected 1 to 7, got 8"),
    (ControlPlaneLimits, {"approval": "yes"}, "approval: expected True or False, got 'yes'"),
    (Timeouts, {}, "timeouts: expected at least one of create, read, update, delete"),
    (Timeouts, {"read": "soon"}, "read: expected a duration such as 1h30m, got 'soon'"),
    (Lifecycle, {"ignore_changes": "some"}, "ignore_changes: expected names, or \"all\", got 'some'"),
    (Lifecycle, {"prevent_destroy": 1}, "prevent_destroy: expected True or False, got 1"),
    (Condition, {"condition": "", "error_message": "no"}, "condition: expected a text, got ''"),
    (NodeGroup, {"role": "worker"}, "role: expected an object of Role, got 'worker'"),
    (NodeGroup.workers, {"count": -1}, "count: expected at least 0, got -1"),
]


@pytest.mark.parametrize("make, change, words", WRONG)
def test_what_cannot_be_is_refused(make: Callable[..., object], change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidDescriptionError) as caught:
        make(**change)
    assert words in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(InvalidDescriptionError) as caught:
        machines(name="My Cluster", control_planes=2, cpus=0)
    assert [problem.attribute for problem in caught.value.problems] == ["name", "control_planes", "cpus"]
    assert str(caught.value).startswith("constellation_local_machines.m cannot be:\n  name: expected ")


@pytest.mark.parametrize("name", ["master_secret", "master_secret_wo"])
def test_secrets_are_not_shown(name: str) -> None:
    version = {"master_secret_wo_version": 1} if name == "master_secret_wo" else {}
    assert SECRET not in repr(cluster(**{name: SECRET}, **version))
    with pytest.raises(InvalidDescriptionError) as caught:
        cluster(**{name: SECRET + "x"}, **version)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", ["${var.name}", "x-${var.name}", "%{if var.a}x%{endif}", Reference.of("local.name")])
def test_what_terraform_will_know_is_left_to_the_provider(value: str) -> None:
    assert machines(name=value, workers=value, image=value).name == value


def test_numbers_that_a_library_stands_in_for_are_left_to_the_provider() -> None:
    assert machines(workers=-1.8881545897087503e289 * 1e19).workers is not None


def test_groups_make_machines() -> None:
    groups = [
        NodeGroup.control_planes(3, memory=4096),
        NodeGroup.workers(2, memory=4096),
        NodeGroup.workers(memory=4096),
    ]
    made = LocalMachines.of_groups("m", groups, workspace="w", image="i")
    assert (made.control_planes, made.workers, made.memory, made.cpus) == (3, 3, 4096, None)


def test_groups_of_one_host_have_one_size() -> None:
    groups = [NodeGroup.control_planes(), NodeGroup.workers(cpus=4)]
    with pytest.raises(InvalidDescriptionError, match=r"cpus: expected the same in .*, got the default, 4"):
        LocalMachines.of_groups("m", groups, workspace="w", image="i")


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()), st.binary()))
def test_any_value_is_taken_or_refused(value: object) -> None:
    for make, names in (
        (machines, ("workspace", "image", "name", "cpus", "timeouts", "count")),
        (cluster, ("kubernetes_version", "api_server_cert_sans", "network_config", "attestation", "on_destroy")),
        (policy, ("image", "minimum_tcb", "extra_policy")),
        (verification, ("endpoints", "attestations", "timeout")),
    ):
        with suppress(InvalidDescriptionError):
            make(**dict.fromkeys(names, value)).to_terraform()
