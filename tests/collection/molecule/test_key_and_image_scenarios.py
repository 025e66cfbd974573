# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Scenarios of molecule about keys and images: a key is rotated, and a real image is published."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pytest

from constellation_engine.node_image.targets import Profile
from tests.collection.molecule.scenarios import scenario
from tests.node_image.built_images import KEY, kept_image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.playing import Player

MINUTES: Final = 60


@pytest.mark.slow
@pytest.mark.timeout(15 * MINUTES)
@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is missing: apt-get install openssh-client")
def test_a_key_is_rotated(play: Player) -> None:
    pytest.importorskip("pyrage", reason="pip install 'constellation-kubernetes[escrow]'")
    scenario(play, "key_rotation", seconds=14 * MINUTES)


@pytest.mark.slow
@pytest.mark.timeout(90 * MINUTES)
@pytest.mark.usefixtures("_programs")
def test_an_image_is_published(play: Player, repository: Path) -> None:
    image = kept_image(repository, Profile.RELEASE)
    variables = {
        "SCENARIO_IMAGE": str(image.path),
        "SCENARIO_KEY": str(KEY),
        "SOURCE_DATE_EPOCH": str(int(image.read_build().created.timestamp())),
    }
    scenario(play, "image", seconds=20 * MINUTES, **variables)
