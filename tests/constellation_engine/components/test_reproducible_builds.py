# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A program of many modules has the pinned bytes wherever, and however often, it is compiled from nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components import our_manifest
from constellation_engine.components.build import build
from constellation_engine.components.cache import sha256_of
from constellation_engine.components.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("go")]


@pytest.mark.parametrize("place", ["here", "a much longer place/with a space"])
def test_etcdctl_has_the_pinned_bytes(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (component,) = our_manifest().select(["etcdctl"])
    folder = tmp_path / place
    shutil.copytree(component.recipe.folder, folder)
    monkeypatch.setenv("GOCACHE", str(tmp_path / "compiled"))  # nothing is compiled yet
    build(replace(component.recipe, folder=folder), tmp_path / "etcdctl", Watch(800, lambda _: None), "etcdctl")
    assert sha256_of(tmp_path / "etcdctl") == component.recipe.sha256


@pytest.mark.parametrize("name", ["containerd-store", "pause"])
def test_the_pins_of_our_own_programs_are_of_the_sources_here(name: str, tmp_path: Path) -> None:
    (component,) = our_manifest().select([name])
    build(component.recipe, tmp_path / name, Watch(800, lambda _: None), name)
    assert sha256_of(tmp_path / name) == component.recipe.sha256
