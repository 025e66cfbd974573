# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Terraform with our provider, and images for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_engine.testing.node_images import FakeImage
from tests.terraform_provider_constellation.real_terraform import Terraform, real_terraform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[Terraform]:
    """The real Terraform in an empty folder, with the provider in this process."""
    with real_terraform(tmp_path) as running:
        yield running


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine has its images: nowhere yet."""
    folder = tmp_path / "images"
    monkeypatch.setenv("CONSTELLATION_IMAGES", str(folder))
    return folder


@pytest.fixture
def image(images: Path) -> ImageFolder:
    """An image of this machine."""
    return FakeImage().write(images / "node")
