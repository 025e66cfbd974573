# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A cluster is put into a kubeconfig beside others, and taken out of it; whatever else is there stays."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.errors import ConfigError
from constellation_core.keys.secret import Secret
from constellation_engine.cluster.credentials import Credentials
from constellation_engine.cluster.kubeconfig_entries import dump, outline, parse, with_cluster, without_cluster

OTHER: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {},
    "current-context": "other",
    "clusters": [{"name": "other", "cluster": {"server": "https://other.example"}}],
    "users": [{"name": "somebody", "user": {"token": "hush"}}],
    "contexts": [{"name": "other", "context": {"cluster": "other", "user": "somebody"}}],
}


def credentials(host: str = "https://127.0.0.1:6443") -> Credentials:
    return Credentials(
        host=host, authority="CA", certificate="CERT", key=Secret(b"KEY"), kubeconfig=Secret(b"the whole")
    )


def put(record: dict[str, Any], *, current: bool = False, host: str = "https://127.0.0.1:6443") -> dict[str, Any]:
    return with_cluster(record, "mini", credentials(host), current=current)


def test_others_stay() -> None:
    record = put(parse(yaml.safe_dump(OTHER).encode(), "it"))
    assert [one["name"] for one in record["contexts"]] == ["other", "mini"]
    assert record["current-context"] == "other"
    assert without_cluster(record, "mini") == OTHER


def test_the_first_becomes_current() -> None:
    record = put(parse(b"", "it"))
    assert record["current-context"] == "mini"
    assert without_cluster(record, "mini")["current-context"] == ""


def test_it_becomes_current_where_that_is_asked_for() -> None:
    assert put(OTHER, current=True)["current-context"] == "mini"


def test_a_change_takes_the_place_of_what_was_there_and_a_namespace_stays() -> None:
    record = put(OTHER)
    record["contexts"][1]["context"]["namespace"] = "mine"
    changed = put(record, host="https://127.0.0.1:7443")
    assert changed["contexts"][1]["context"] == {"cluster": "mini", "user": "mini", "namespace": "mine"}
    assert [one["cluster"]["server"] for one in changed["clusters"]] == [
        "https://other.example",
        "https://127.0.0.1:7443",
    ]


def test_twice_is_once() -> None:
    assert put(put(OTHER)) == put(OTHER)


def test_what_is_written_is_read_back() -> None:
    assert parse(dump(put(OTHER)), "it") == put(OTHER)


def test_an_outline_has_no_secret() -> None:
    said = " ".join(outline(put(OTHER)))
    assert "context mini: https://127.0.0.1:6443, certificates " in said
    assert not [secret for secret in ("hush", "KEY", "S0VZ", "the whole") if secret in said]


@pytest.mark.parametrize(
    "content",
    [b"[]", b"x", b"{clusters: 3}", b"{users: [x]}", b"{contexts: [{name: 3}]}", b"\xff", b"{", b"a: &b 1\nc: *b"],
)
def test_what_is_no_kubeconfig_is_refused_and_not_quoted(content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^it: expected a kubeconfig, it is none$"):
        parse(content, "it")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        record = parse(content, "it")
    except ConfigError:
        return
    outline(put(record))
