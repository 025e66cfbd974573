# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A home that nobody lives in, and the real Terraform in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from terraform_provider_constellation.packaging.mirror import Mirror, Tool
from tests.terraform_provider_constellation.packaging.user import User
from tests.terraform_provider_constellation.plugin.tools import program_of

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = [
    pytest.param(Tool.TERRAFORM, id="terraform"),
    pytest.param(Tool.OPENTOFU, id="opentofu", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def mirror(home: Path) -> Mirror:
    """Terraform's folder of providers in that home, which is not there yet."""
    mirror = Mirror.of_user(Tool.TERRAFORM)
    assert mirror.folder.is_relative_to(home)
    return mirror


@pytest.fixture(params=TOOLS)
def user(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody with an empty home, and the real Terraform or OpenTofu."""
    tool: Tool = request.param
    user = User(tool, program_of(tool.registry), tmp_path)
    user.home.mkdir()
    monkeypatch.setenv("HOME", str(user.home))
    return user
