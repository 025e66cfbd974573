# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The zoo, served to the real Terraform or OpenTofu: in this process, or as a program of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from terraform_provider_constellation.plugin.service.provider import ProviderCalls
from terraform_provider_constellation.plugin.testing import reattached
from tests.terraform_provider_constellation.plugin.tools import BOTH, Tool, empty_configuration, overridden, program_of
from tests.terraform_provider_constellation.plugin.zoo import Books, Zoo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """What is in the zoo."""
    return Books(tmp_path)


@pytest.fixture
def zoo(books: Books, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    """A zoo."""
    monkeypatch.setenv("ZOO", str(books.folder))
    return Zoo()


@pytest.fixture
def calls(zoo: Zoo) -> ProviderCalls:
    """A zoo as Terraform calls it, without Terraform."""
    return ProviderCalls(zoo)


@pytest.fixture(params=BOTH)
def bare_tool(request: pytest.FixtureRequest, tmp_path: Path) -> Tool:
    """The real Terraform or OpenTofu, which knows of no provider."""
    empty_configuration(tmp_path)
    return Tool(program_of(request.param), request.param, tmp_path)


@pytest.fixture
def tool(bare_tool: Tool, zoo: Zoo) -> Iterator[Tool]:
    """The real Terraform or OpenTofu, with the zoo in this process."""
    with reattached(zoo, address=bare_tool.address) as environment:
        bare_tool.environment |= environment
        yield bare_tool


@pytest.fixture
def program_tool(bare_tool: Tool) -> Tool:
    """The real Terraform or OpenTofu, which starts the zoo as a program."""
    overridden(bare_tool)
    return bare_tool
