# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""ConfigMap `cluster`: what is true of a cluster as a whole."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.cluster_facts import MAX_SIZE, ClusterFacts
from constellation_core.errors import ConfigError
from constellation_core.strict_yaml import dump_yaml

RECORD: dict[str, Any] = {
    "version": 1,
    "name": "production",
    "endpoint": "192.0.2.10:6443",
    "measurementSalt": "8f" * 32,
    "kubernetesVersion": "v1.36.4",
    "components": f"components-{'9b' * 32}",
    "meshNetwork": "10.214.0.0/16",
    "podNetwork": "10.245.0.0/16",
    "serviceNetwork": "10.97.0.0/16",
}
FACTS = ClusterFacts(
    name="production",
    endpoint="192.0.2.10:6443",
    measurement_salt=b"\x8f" * 32,
    kubernetes_version="v1.36.4",
    components=f"components-{'9b' * 32}",
    mesh_network=IPv4Network("10.214.0.0/16"),
    pod_network=IPv4Network("10.245.0.0/16"),
    service_network=IPv4Network("10.97.0.0/16"),
)


def read(**changes: object) -> ClusterFacts:
    return ClusterFacts.from_yaml(dump_yaml({**RECORD, **changes}))


def test_every_field_is_read() -> None:
    assert read() == FACTS


def test_what_is_written_is_read_back() -> None:
    assert ClusterFacts.from_yaml(FACTS.to_yaml()) == FACTS


def test_networks_have_defaults() -> None:
    facts = ClusterFacts.from_yaml(dump_yaml({name: RECORD[name] for name in RECORD if "Network" not in name}))
    networks = (facts.mesh_network, facts.pod_network, facts.service_network)
    assert [str(network) for network in networks] == ["10.213.0.0/16", "10.244.0.0/16", "10.96.0.0/12"]


@pytest.mark.parametrize("endpoint", ["localhost:1", "api.example.org:65535", "[2001:db8::1]:6443"])
def test_endpoints(endpoint: str) -> None:
    assert read(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize("salt", ["12" * 32, "0" * 64])
def test_a_salt_of_digits_is_no_number(salt: str) -> None:
    assert ClusterFacts.from_yaml(dump_yaml(RECORD).replace("8f" * 32, salt)).measurement_salt == bytes.fromhex(salt)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"name": ""},
        {"name": "Production"},
        {"name": "-a"},
        {"name": "a" * 64},
        {"name": "a\n"},
        {"endpoint": "192.0.2.10"},
        {"endpoint": "192.0.2.10:0"},
        {"endpoint": "192.0.2.10:65536"},
        {"endpoint": "https://192.0.2.10:6443"},
        {"endpoint": "2001:db8::1:6443"},
        {"endpoint": "[192.0.2.10]:6443"},
        {"measurementSalt": "8f" * 31},
        {"measurementSalt": "8F" * 32},
        {"measurementSalt": 12},
        {"kubernetesVersion": "1.36.4"},
        {"kubernetesVersion": "v1.36"},
        {"components": "components-9b"},
        {"components": f"Components-{'9b' * 32}"},
        {"meshNetwork": "10.213.0.1/16"},
        {"meshNetwork": "10.213.0.0/30"},
        {"meshNetwork": "8.8.0.0/16"},
        {"meshNetwork": "0.0.0.0/0"},
        {"meshNetwork": "10.213.0.0"},
        {"meshNetwork": "10.999.0.0/16"},
        {"meshNetwork": 10},
        {"podNetwork": "8.8.0.0/16"},
        {"serviceNetwork": "10.96.0.0/30"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_wrong_field_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        read(**changes)


@pytest.mark.parametrize("name", [name for name in RECORD if "Network" not in name])
def test_a_missing_field_is_refused(name: str) -> None:
    record = {key: value for key, value in RECORD.items() if key != name}
    with pytest.raises(ConfigError, match=f"lacks {name}"):
        ClusterFacts.from_yaml(dump_yaml(record))


def test_a_misspelt_field_is_answered_with_what_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        read(meshnetwork="10.213.0.0/16")
    assert caught.value.hint == "did you mean meshNetwork?"


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most"):
        ClusterFacts.from_yaml(dump_yaml(RECORD) + "#" * MAX_SIZE)


@given(st.text(max_size=100) | st.text("{}[]:,-#&*!|>'\"version1 \n", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        ClusterFacts.from_yaml(text)


@given(cut=st.integers(0, 10**6), inserted=st.text(max_size=3))
def test_a_damaged_file_is_read_or_refused(cut: int, inserted: str) -> None:
    text = FACTS.to_yaml()
    cut %= len(text)
    for damaged in (text[:cut], text[:cut] + inserted + text[cut:], text[:cut] + inserted + text[cut + 1 :]):
        with contextlib.suppress(ConfigError):
            ClusterFacts.from_yaml(damaged)
