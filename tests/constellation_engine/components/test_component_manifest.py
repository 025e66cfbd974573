# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Manifests: what is read, what is refused, how components are chosen."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_engine.components import Manifest, our_manifest
from constellation_engine.components.manifest_file import parse_components
from constellation_engine.errors import ManifestError, UnknownComponentError

SHA256: Final = "0123456789abcdef" * 4
SMALL: Final = f"""
schema = "1"
toolchain = "go1.26.8"
platform = "linux/amd64"

[[release]]
name = "kubernetes"
version = "1.36.4"
folder = "kubernetes"
tags = ["static"]
variables = ["example.org/version.Version=v1"]
archive = "https://example.org/all.tar.gz"
archive_sha256 = "{SHA256}"

[release.components.kubelet]
package = "example.org/kubelet"
sha256 = "{SHA256}"
member = "bin/kubelet"
"""
FOLDER: Final = Path("modules")


def test_every_field_arrives() -> None:
    (component,) = parse_components(SMALL, FOLDER)
    assert (component.title, component.release) == ("kubelet 1.36.4", "kubernetes")
    assert component.recipe.folder == FOLDER / "kubernetes"
    assert (component.recipe.tags, component.recipe.variables) == (("static",), ("example.org/version.Version=v1",))
    assert component.download is not None
    assert (component.download.sha256, component.download.member) == (SHA256, "bin/kubelet")


@pytest.mark.parametrize("text, is_test", [("", False), ("test = false", False), ("test = true", True)])
def test_a_program_may_be_the_tests_of_a_package(text: str, is_test: bool) -> None:
    (component,) = parse_components(SMALL + text, FOLDER)
    assert component.recipe.is_test is is_test


@pytest.mark.parametrize(
    "old, new, named",
    [
        ('schema = "1"', 'schema = "2"', "schema"),
        ('schema = "1"', "", "schema"),
        ("go1.26.8", "go1.26.8+local", "toolchain"),
        ("linux/amd64", "linux", "platform"),
        ('name = "kubernetes"', 'name = "../kubernetes"', "name"),
        ('version = "1.36.4"', "version = 1.36", "version"),
        ('folder = "kubernetes"', 'folder = "/etc"', "folder"),
        ('folder = "kubernetes"', 'folder = "kubernetes"\ncolour = "blue"', "colour"),
        ('tags = ["static"]', 'tags = ["two words"]', "tags"),
        ('tags = ["static"]', 'tags = "static"', "tags"),
        ("https://example.org/all", "file:///etc/all", "archive"),
        (f'sha256 = "{SHA256}"\nmember', "member", "sha256"),
        (f'sha256 = "{SHA256}"\nmember', 'sha256 = "ABC"\nmember', "sha256"),
        ('member = "bin/kubelet"', 'test = "yes"', "test"),
        ('member = "bin/kubelet"', 'membre = "bin/kubelet"', "membre"),
        ("components.kubelet", "components.'.kubelet'", "kubelet"),
        ("[[release]]", "[release]", "release"),
        ("schema", "schema schema", "TOML"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(old: str, new: str, named: str) -> None:
    assert old in SMALL
    with pytest.raises(ManifestError, match=named):
        parse_components(SMALL.replace(old, new, 1), FOLDER)


@given(st.integers(0, len(SMALL)), st.text(max_size=5))
def test_any_text_is_read_or_refused(position: int, inserted: str) -> None:
    for text in (SMALL[:position], SMALL[:position] + inserted + SMALL[position:], inserted):
        with suppress(ManifestError):
            parse_components(text, FOLDER)


VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
)


@given(st.sampled_from(["schema", "toolchain", "platform", "release"]), VALUES)
def test_any_value_is_read_or_refused(key: str, value: object) -> None:
    fields = tomllib.loads(SMALL) | {key: value}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tomllib, "loads", lambda _: fields)
        with suppress(ManifestError):
            parse_components("", FOLDER)


@pytest.mark.parametrize("hidden", ["archive_sha256", "member"])
def test_without_a_published_hash_nothing_is_downloaded(hidden: str) -> None:
    text = "\n".join(line for line in SMALL.splitlines() if not line.startswith(hidden))
    (component,) = parse_components(text, FOLDER)
    assert component.download is None


@pytest.mark.parametrize("wanted", ["1.35", "1.35.8", "v1.35.8", "v1.35"])
def test_a_version_has_a_short_name(wanted: str) -> None:
    assert our_manifest().version(wanted) == "1.35.8"


def test_the_newest_version_is_the_default() -> None:
    assert our_manifest().version() == max(our_manifest().kubernetes, key=lambda text: [*map(int, text.split("."))])


@pytest.mark.parametrize("wanted", ["1.33", "1", "1.35.99", "latest"])
def test_an_unknown_version_is_refused_with_those_that_there_are(wanted: str) -> None:
    with pytest.raises(UnknownComponentError, match=wanted) as refused:
        our_manifest().version(wanted)
    assert all(version in refused.value.hint for version in our_manifest().kubernetes)


def test_a_misspelt_component_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownComponentError, match="kubectel") as refused:
        our_manifest().select(["etcd", "kubectel"])
    assert "kubectl" in refused.value.hint


def test_a_strange_component_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownComponentError) as refused:
        Manifest(parse_components(SMALL, FOLDER)).select(["zzz"])
    assert refused.value.hint == "choose from kubelet"


def test_components_of_one_version_are_chosen_in_order() -> None:
    chosen = our_manifest().select(["kubectl", "etcd", "kubelet"], "1.35")
    assert [component.title for component in chosen] == ["kubelet 1.35.8", "kubectl 1.35.8", "etcd 3.6.16"]
