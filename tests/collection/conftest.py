# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of the collection may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.collection.playing import Player

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def play(tmp_path: Path) -> Player:
    """Run playbooks with the collection of this repository, and nothing of the user's."""
    home = tmp_path / "ansible-home"
    home.mkdir()
    return Player(home)
