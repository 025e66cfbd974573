# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An image to break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder


@pytest.fixture
def image(tmp_path: Path) -> ImageFolder:
    """A sound image, signed by `KEY`."""
    return FakeImage().write(tmp_path / "image")
