# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Names of images become what containerd and the kubelet make of them; others are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_engine.container_images.control_plane import is_ours
from constellation_engine.container_images.reference import parse_reference
from constellation_engine.errors import ImageBuildError


@pytest.mark.parametrize(
    "text, whole",
    [
        ("busybox:1.37", "docker.io/library/busybox:1.37"),
        ("team/program:1", "docker.io/team/program:1"),
        ("docker.io/busybox:1", "docker.io/library/busybox:1"),
        ("localhost/program:1", "localhost/program:1"),
        ("localhost:5000/program:1", "localhost:5000/program:1"),
        ("registry:5000/program:1", "registry:5000/program:1"),
        ("registry.example/a/b__c/d-e.f:V_1.0-x", "registry.example/a/b__c/d-e.f:V_1.0-x"),
    ],
)
def test_a_name_becomes_a_whole_one(text: str, whole: str) -> None:
    assert str(parse_reference(text)) == whole
    assert str(parse_reference(whole)) == whole


@pytest.mark.parametrize(
    "text",
    [
        *("", "busybox", "busybox:", ":1", "Program:1", "a//b:1", "a/:1", "a b:1", "a:b:c", "-a:1", "a..b/c:1", "a:-1"),
        *(f"busybox@sha256:{64 * '0'}", f"busybox:1@sha256:{64 * '0'}", f"{'a' * 255}:1", f"a:{'1' * 129}", "a:1\n"),
    ],
)
def test_what_is_no_name_with_a_tag_is_refused(text: str) -> None:
    with pytest.raises(ImageBuildError, match="expected the name of an image with a tag"):
        parse_reference(text)


@given(st.text(alphabet="ab1.:/_-@", max_size=40))
def test_any_text_gives_a_stable_name_or_our_error(text: str) -> None:
    try:
        reference = parse_reference(text)
    except ImageBuildError:
        return
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    "repository, ours",
    [
        ("registry.k8s.io/pause", True),
        ("registry.k8s.io/coredns/coredns", True),
        ("localhost/constellation-services", True),
        ("registry.k8s.io/e2e-test-images/agnhost", False),
        ("docker.io/library/etcd", False),
    ],
)
def test_names_of_ours_are_known(repository: str, ours: bool) -> None:
    assert is_ours(repository) is ours
