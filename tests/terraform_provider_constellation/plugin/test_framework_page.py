# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the page about the framework shows, run."""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.testing import reattached

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terraform_provider_constellation.plugin.tools import Tool

ADDRESS = "registry.terraform.io/example/garden"


def blocks(repository: Path, language: str) -> list[str]:
    page = (repository / "docs" / "terraform-plugin.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.fixture
def names(repository: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Everything that the examples define; they are one program."""
    module = ModuleType("garden")
    monkeypatch.setitem(sys.modules, "garden", module)
    for block in blocks(repository, "python"):
        exec(compile(block, "docs/terraform-plugin.md", "exec", dont_inherit=True), vars(module))
    return vars(module)


def test_the_example_does_what_it_says(
    repository: Path, bare_tool: Tool, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (configuration,) = blocks(repository, "terraform")
    monkeypatch.chdir(bare_tool.folder)
    (bare_tool.folder / "main.tf").write_text(configuration, encoding="utf-8")
    address = ADDRESS.replace("registry.terraform.io", bare_tool.registry)
    with reattached(names["make"](), address=address) as environment:
        bare_tool.environment |= environment
        assert bare_tool.apply().status == 0
        assert (bare_tool.folder / "bed-front").read_text(encoding="utf-8") == "rose thyme"
        assert not bare_tool.differs()
        (bare_tool.folder / "bed-front").write_text("rose", encoding="utf-8")
        assert bare_tool.differs()
        assert bare_tool.run("destroy", "-auto-approve").status == 0
    assert not (bare_tool.folder / "bed-front").exists()


def test_the_rule_of_the_page(names: dict[str, Any]) -> None:
    fence = names["Fence"]
    found = [problem for item in schema_of(fence).rules for problem in item.problems(fence(height=200, wall="brick"))]
    assert [problem.summary for problem in found] == ["Wall too high"]
