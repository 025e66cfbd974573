# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What registries call a release, and its version."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from constellation_cli import __version__
from terraform_provider_constellation.packaging.errors import PlatformError, VersionError
from terraform_provider_constellation.packaging.release import Processor, Release, semantic_version

SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[a-z]+\.(0|[1-9]\d*))?")


def test_files_are_called_as_registries_want_it() -> None:
    release = Release("1.2.3", Processor.AMD64)
    assert release.program == "terraform-provider-constellation_v1.2.3"
    assert release.archive == "terraform-provider-constellation_1.2.3_linux_amd64.zip"
    assert release.manifest == "terraform-provider-constellation_1.2.3_manifest.json"
    assert release.sums == "terraform-provider-constellation_1.2.3_SHA256SUMS"


@pytest.mark.parametrize(
    "python, semantic",
    [
        ("0.1.0", "0.1.0"),
        ("10.20.30", "10.20.30"),
        ("0.1.0.dev0", "0.1.0-dev.0"),
        ("1.0.0a1", "1.0.0-alpha.1"),
        ("1.0.0b12", "1.0.0-beta.12"),
        ("1.0.0rc1", "1.0.0-rc.1"),
    ],
)
def test_versions_of_python_become_those_of_registries(python: str, semantic: str) -> None:
    assert semantic_version(python) == semantic


def test_our_version_is_one() -> None:
    assert SEMANTIC.fullmatch(semantic_version(__version__))


@pytest.mark.parametrize(
    "python", ["", "1.0", "1.0.0.post1", "1!1.0.0", "1.0.0+local", "1.0.0rc1.dev2", "v1.0.0", "1.0.0-1"]
)
def test_what_registries_do_not_have_is_refused(python: str) -> None:
    with pytest.raises(VersionError, match="expected a version such as"):
        semantic_version(python)


@given(st.from_regex(r"[0-9v]+(\.[0-9]+){0,3}(a|b|rc|\.dev|\.post|\+)?[0-9]*"))
@example("01.0.0")
@example("1.0.0\n")
@example("\N{ARABIC-INDIC DIGIT ONE}.0.0")
def test_any_text_gives_a_version_or_is_refused(text: str) -> None:
    with contextlib.suppress(VersionError):
        assert SEMANTIC.fullmatch(semantic_version(text))


def test_this_machine_has_a_name() -> None:
    assert Processor.ours().platform in {"linux_amd64", "linux_arm64"}


def test_other_machines_are_refused() -> None:
    assert Processor.ours("aarch64").platform == "linux_arm64"
    with pytest.raises(PlatformError, match="expected a machine with x86_64 or aarch64, this one has riscv64"):
        Processor.ours("riscv64")
