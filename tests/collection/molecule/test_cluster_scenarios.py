# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Scenarios of molecule about clusters: each converges, is idempotent, and is verified. Two boot nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from constellation_engine.machines import machines
from constellation_engine.node_image.targets import Profile
from tests.collection.molecule.scenarios import scenario
from tests.node_image.built_images import kept_image, next_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.collection.playing import Player

MINUTES: Final = 60


@pytest.mark.slow
def test_what_needs_no_machine(play: Player) -> None:
    scenario(play, "default", seconds=55)


@pytest.fixture
def _image(repository: Path, play: Player, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real image; machines that are left are removed."""
    image = kept_image(repository, Profile.RELEASE)
    monkeypatch.setenv("CONSTELLATION_IMAGES", str(play.home / "images"))
    (play.home / "images").mkdir()
    (play.home / "images" / "node").symlink_to(image.path)
    yield
    for folder in play.home.rglob("machines"):
        for machine in machines(folder):
            machine.destroy()


@pytest.fixture
def _next_image(repository: Path, play: Player, tmp_path: Path, _image: None) -> None:
    """An image of the next release beside it."""
    (play.home / "images" / "next").symlink_to(next_image(repository, tmp_path).path)


@pytest.mark.slow
@pytest.mark.timeout(90 * MINUTES)
@pytest.mark.usefixtures("_image", "_programs")
@pytest.mark.parametrize("name", ["cluster", "recover"])
def test_nodes_that_boot(play: Player, name: str) -> None:
    scenario(play, name, seconds=80 * MINUTES)


@pytest.mark.slow
@pytest.mark.timeout(90 * MINUTES)
@pytest.mark.usefixtures("_next_image", "_programs")
def test_nodes_that_go_over_to_another_image(play: Player) -> None:
    scenario(play, "upgrade", seconds=80 * MINUTES)
