# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""ConfigMaps `components-<sha256>`: the name says what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.component_list import DATA_KEY, Component, ComponentList
from constellation_core.errors import ConfigError
from constellation_proto import join_pb2

KUBELET = Component("kubelet", "1.36.4", "ab" * 32)
ETCD = Component("etcd", "3.6.16", "cd" * 32)


def test_canonical_json() -> None:
    document = f'[{{"name":"etcd","sha256":"{"cd" * 32}","version":"3.6.16"}}]'
    assert ComponentList((ETCD,)).document == document
    assert ComponentList((ETCD,)).object_name == f"components-{hashlib.sha256(document.encode()).hexdigest()}"


def test_the_order_does_not_matter() -> None:
    assert ComponentList((KUBELET, ETCD)) == ComponentList((ETCD, KUBELET))


def test_what_is_written_is_read_back() -> None:
    written = ComponentList((KUBELET, ETCD))
    assert ComponentList.from_data(written.object_name, written.data) == written


def test_on_the_wire() -> None:
    assert KUBELET.to_message() == join_pb2.Component(name="kubelet", version="1.36.4", sha256="ab" * 32)


def test_a_changed_list_is_refused() -> None:
    promised = ComponentList((KUBELET,)).object_name
    with pytest.raises(ConfigError, match="expected the list of that hash"):
        ComponentList.from_data(promised, ComponentList((ETCD,)).data)


def test_the_same_list_in_other_bytes_is_refused() -> None:
    written = ComponentList((ETCD,))
    spaced = json.dumps(json.loads(written.document))
    for name in (written.object_name, f"components-{hashlib.sha256(spaced.encode()).hexdigest()}"):
        with pytest.raises(ConfigError, match="expected the list of that hash"):
            ComponentList.from_data(name, {DATA_KEY: spaced})


@pytest.mark.parametrize(
    "components", [(), (ETCD, ETCD), (Component("a", "1", "x"),), (Component("A", "1", "ab" * 32),)]
)
def test_a_wrong_list_is_refused(components: tuple[Component, ...]) -> None:
    with pytest.raises(Exception, match="component"):
        ComponentList(components)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", "[{}]", "]", '[],"components":[]', "[" * 100, "\ud800"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        ComponentList.from_data(f"components-{'0' * 64}", {DATA_KEY: text})


def test_a_missing_list_is_refused() -> None:
    with pytest.raises(ConfigError):
        ComponentList.from_data(f"components-{'0' * 64}", {})


@given(st.text(max_size=50) | st.text('[]{}",:name ', max_size=50))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        ComponentList.from_data(f"components-{'0' * 64}", {DATA_KEY: text})
