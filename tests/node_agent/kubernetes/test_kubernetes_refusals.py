# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Other programs, another authority, a program that fails or hangs: each is refused in one sentence."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.component_list import Component
from node_agent.errors import PermanentError, ProgramError, TemporaryError
from node_agent.kubernetes.authority import checked_authority, find_authority, hash_of_authority
from node_agent.kubernetes.components import check_components, measured_components
from tests.node_agent.kubernetes.plans import certificate, pem

if TYPE_CHECKING:
    from pathlib import Path

KUBELET = Component("kubelet", "1.36.4", "a" * 64)
ETCD = Component("etcd", "3.6.16", "b" * 64)
HASH = hash_of_authority(certificate("kubernetes")[0])


def check(measured: tuple[Component, ...], wanted: tuple[Component, ...], version: str = "v1.36.4") -> None:
    check_components(measured=measured, wanted=wanted, kubernetes_version=version)


def test_the_clusters_programs_are_taken() -> None:
    check((KUBELET, ETCD), (ETCD, KUBELET))


@pytest.mark.parametrize(
    "wanted, version, said",
    [
        ((KUBELET,), "v1.36.4", "etcd: expected none, got 3.6.16"),
        ((KUBELET, ETCD, Component("runc", "1", "c" * 64)), "v1.36.4", "runc: expected 1"),
        ((KUBELET, Component("etcd", "3.6.16", "d" * 64)), "v1.36.4", "etcd: expected 3.6.16 (dddddddddddd…), got"),
        ((KUBELET, ETCD), "v1.35.8", "Kubernetes: expected v1.35.8, got 1.36.4"),
    ],
)
def test_others_are_named(wanted: tuple[Component, ...], version: str, said: str) -> None:
    with pytest.raises(PermanentError) as raised:
        check((KUBELET, ETCD), wanted, version)
    assert said in str(raised.value)
    assert raised.value.hint


def test_all_differences_are_named_at_once() -> None:
    with pytest.raises(PermanentError, match=r"etcd: .*; kubelet: .*"):
        check((KUBELET,), (ETCD,))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"name": "x"}]', "[[]]"])
def test_a_damaged_list_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "components.json"
    file.write_text(text, encoding="utf-8")
    if text == "{}":
        assert measured_components(file) == ()
        return
    with pytest.raises(PermanentError, match="expected the image's list"):
        measured_components(file)


def cluster_info(authority: bytes) -> bytes:
    data = base64.b64encode(authority).decode()
    kubeconfig = {"clusters": [{"name": "", "cluster": {"certificate-authority-data": data}}]}
    return json.dumps({"data": {"kubeconfig": yaml.safe_dump(kubeconfig)}}).encode()


def test_the_authority_of_the_ticket_is_believed() -> None:
    assert checked_authority(cluster_info(pem()), HASH) == pem()


@pytest.mark.parametrize("authority", [pem("somebody"), pem("somebody") + pem(), b"", b"x"])
def test_another_authority_is_not(authority: bytes) -> None:
    with pytest.raises(TemporaryError, match="cluster-info: expected"):
        checked_authority(cluster_info(authority), HASH)


@given(
    answer=st.binary()
    | st.recursive(
        st.none() | st.text(), lambda inner: st.dictionaries(st.sampled_from(["data", "kubeconfig", "clusters"]), inner)
    ).map(lambda record: json.dumps(record).encode())
)
def test_any_answer_is_survived(answer: bytes) -> None:
    with pytest.raises(TemporaryError):
        checked_authority(answer, HASH)


@given(cut=st.integers(min_value=1), flip=st.integers(min_value=0))
def test_a_damaged_answer_is_not_believed(cut: int, flip: int) -> None:
    whole = bytearray(cluster_info(pem()))
    whole[flip % len(whole)] ^= 1
    try:
        found = checked_authority(bytes(whole[: len(whole) - cut % 8]), HASH)
    except TemporaryError:
        return
    assert found == pem()


async def test_an_api_server_that_is_not_there_is_named() -> None:
    said: list[str] = []
    with pytest.raises(PermanentError, match=r"does not answer") as raised:
        await find_authority("127.0.0.1:1", HASH, time_limit=0.2, report=said.append)
    assert "127.0.0.1:1" in raised.value.hint
    assert len(said) == 1


def test_types_of_errors_steer_loops() -> None:
    error: Any = ProgramError("failed", ["why"])
    assert isinstance(error, PermanentError)
