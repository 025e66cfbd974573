# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What values must be: right ones give None, wrong ones what was expected."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.variant import Variant
from constellation_core import rules

if TYPE_CHECKING:
    from collections.abc import Callable

RIGHT: list[tuple[Callable[[Any], str | None], list[Any]]] = [
    (rules.cluster_name, ["a", "mini", "prod-2", "0", "a" * 32]),
    (rules.control_planes, [1, 3, 5]),
    (rules.control_plane_limit, [1, 7]),
    (rules.workers, [0, 32]),
    (rules.cpus, [2, 255]),
    (rules.memory, [2048, 1 << 20]),
    (rules.state_disk, [2048, 1 << 24]),
    (rules.kubernetes_version, ["v1.36.4", "1.36.4"]),
    (rules.hexadecimal(2), ["00ff"]),
    (rules.attestation_variant, [variant.value for variant in Variant]),
    (rules.register, [0, 23, "4"]),
    (rules.tcb_versions, [{}, {"snp": 0, "qe": 65535}]),
    (rules.base64, ["MEUC", "TQ==", " TWE= "]),
    (rules.public_key, ["-----BEGIN PUBLIC KEY-----\n…"]),
    (rules.json_object, ["{}", '{"a": [1]}']),
    (rules.duration, ["1h30m", "1.5h", "90s", "500ms"]),
    (rules.host, ["example.org", "localhost", "192.0.2.1", "::1", "[::1]", "fd00::1"]),
    (rules.certificate_sans, [[], ["a", "192.0.2.1"], ["a"] * 32]),
    (rules.endpoint, ["example.org:6443", "192.0.2.1:1", "[::1]:65535"]),
    (rules.node_network, ["192.168.0.0/24", "10.0.0.0/8", "192.168.0.0/28"]),
    (rules.pod_network, ["10.244.0.0/16", "10.0.0.0/22"]),
    (rules.service_network, ["10.96.0.0/12", "10.0.0.0/24"]),
    (rules.networks_apart, [{}, {"pods": "10.244.0.0/16", "Services": "10.96.0.0/12"}]),
    (rules.on_destroy, ["forget", "wipe"]),
]
WRONG: list[tuple[Callable[[Any], str | None], list[Any], str]] = [
    (rules.cluster_name, ["", "-a", "a-", "A", "a_b", "a.b", "ä", "a\n", "a" * 33], "1 to 32 of a-z, 0-9 and - inside"),
    (rules.control_planes, [-1, 0, 2, 4, 7], "one of 1, 3, 5"),
    (rules.control_plane_limit, [0, 8], "1 to 7"),
    (rules.workers, [-1, 33], "0 to 32"),
    (rules.cpus, [0, 1, 256], "2 to 255"),
    (rules.memory, [0, 2047, (1 << 20) + 1], "2048 to 1048576 MiB"),
    (rules.state_disk, [0, 2047, (1 << 24) + 1], "2048 to 16777216 MiB"),
    (rules.kubernetes_version, ["", "1.36", "v1.36.4-rc.1", "vv1.36.4", "1.36.٤", "1.36.4\n"], "a version as v1.36.4"),
    (rules.hexadecimal(2), ["", "00f", "00FF", "00ff0", "0x0f", "00ff\n"], "4 digits 0-9, a-f"),
    (rules.attestation_variant, ["", "sev"], f"one of {', '.join(variant.value for variant in Variant)}"),
    (rules.register, [-1, 24, "", "x", "04", "٤"], "a register from 0 to 23"),
    (
        rules.tcb_versions,
        [{"snp": -1}, {"snp": 65536}, {"cpu": 1}],
        "versions from 0 to 65535 of bootloader, tee, snp, microcode, fmc, module, module_major, pce, qe",
    ),
    (rules.base64, ["", "a b", "====", "é"], "base64"),
    (rules.public_key, ["", "ssh-ed25519 AAAA"], "a public key of ECDSA P-256 in PEM"),
    (rules.json_object, ["", "[]", "{", "1", "[" * 100_000], "a JSON object"),
    (rules.duration, ["", "0s", "1", "1d", "-1h", "h", "1h 30m", "9" * 400 + "h"], "a duration such as 1h30m"),
    (rules.host, ["", "a b", "-a", "a-", "[192.0.2.1", "a/b", "a:b", "a\n", "x" * 254], "a name or an IP address"),
    (rules.certificate_sans, [["a"] * 33], "at most 32 names"),
    (rules.certificate_sans, [["a", "b c"]], "names or IP addresses, and not 'b c'"),
    (rules.endpoint, ["", "a", "a:", ":1", "a:0", "a:65536", "a:01", "::1:80", "a b:1", "a:1\n"], "host:port"),
    (
        rules.node_network,
        [
            "",
            "192.168.0.1/24",
            "192.168.0.0",
            "8.8.8.0/24",
            "10.0.0.0/7",
            "192.168.0.0/29",
            "fd00::/8",
            "10.0.0.0/255.0.0.0",
        ],
        "a private IPv4 network from /8 to /28",
    ),
    (rules.pod_network, ["10.0.0.0/23"], "a private IPv4 network from /8 to /22"),
    (rules.service_network, ["10.0.0.0/25"], "a private IPv4 network from /8 to /24"),
    (
        rules.networks_apart,
        [{"pods": "10.0.0.0/16", "Services": "10.0.255.0/24"}],
        "pods and Services apart from one another (10.0.0.0/16, 10.0.255.0/24)",
    ),
    (
        rules.networks_apart,
        [{"pods": "10.0.0.0/8"}],
        "pods and mesh apart from one another (10.0.0.0/8, 10.213.0.0/16)",
    ),
    (rules.on_destroy, ["", "keep", "Wipe"], "one of forget, wipe"),
]


@pytest.mark.parametrize("rule, value", [(rule, value) for rule, values in RIGHT for value in values])
def test_a_right_value(rule: Callable[[Any], str | None], value: object) -> None:
    assert rule(value) is None


@pytest.mark.parametrize(
    "rule, value, expected", [(rule, value, expected) for rule, values, expected in WRONG for value in values]
)
def test_a_wrong_value(rule: Callable[[Any], str | None], value: object, expected: str) -> None:
    assert rule(value) == expected


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    for rule in (
        *(rules.cluster_name, rules.kubernetes_version, rules.hexadecimal(32), rules.register, rules.duration),
        *(rules.host, rules.endpoint, rules.node_network, rules.pod_network, rules.service_network, rules.on_destroy),
    ):
        assert rule(text) is None or isinstance(rule(text), str)


@pytest.mark.parametrize("text, canonical", [("1.36.4", "v1.36.4"), ("v1.36.4", "v1.36.4"), ("1.36", "1.36")])
def test_versions_are_written_as_kubernetes_does(text: str, canonical: str) -> None:
    assert rules.canonical_kubernetes_version(text) == canonical


def test_rules_import_the_standard_library_only() -> None:
    script = "import sys; import constellation_core.rules; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True).stdout
    ours = {name for name in loaded.split() if name.startswith(("constellation_", "attestation"))}
    assert ours == {"constellation_core", "constellation_core.networks", "constellation_core.rules"}
    assert not {"yaml", "cryptography", "google.protobuf"} & set(loaded.split())
