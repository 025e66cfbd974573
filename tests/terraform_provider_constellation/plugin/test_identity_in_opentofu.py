# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Identities, which OpenTofu knows and Terraform 1.11 does not: stored beside the state, and enough to import by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.terraform_provider_constellation.plugin.tools import OPENTOFU

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.plugin.tools import Tool
    from tests.terraform_provider_constellation.plugin.zoo import Books

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize("bare_tool", [OPENTOFU], indirect=True),
]
CAGE = 'resource "zoo_cage" "a" {\n  name = "a"\n}\n'


def test_an_identity_is_stored_beside_the_state(tool: Tool) -> None:
    tool.write(CAGE)
    assert tool.apply().status == 0
    assert tool.instance()["identity"] == {"id": tool.state()["id"]}
    assert not tool.differs()


def test_import_by_identity(tool: Tool, books: Books) -> None:
    books.save({"c1": {"name": "a", "climate": "dry", "labels": None, "revision": "7"}})
    tool.write(CAGE + 'import {\n  to = zoo_cage.a\n  identity = {\n    id = "c1"\n  }\n}')
    assert "1 imported" in tool.apply().text
    assert tool.state()["revision"] == "7"
    assert not tool.differs()
