# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every argument wrong in turn: Terraform points at the right attribute, and says what was expected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.plugin.tools import Tool

WRONG = {
    "pattern": ('name = "A!"', 'Expected small letters, got "A!".', "name"),
    "choice": ('name = "a"\n  climate = "hot"', 'Expected one of dry, wet, got "hot".', "climate"),
    "whole number": ('name = "a"\n  code_version = 1.5', "Expected a whole number, got 1.5.", "code_version"),
    "range in a list": (
        'name = "a"\n  animals = [{ name = "x" }, { name = "y", legs = -1 }]',
        "animals[1].legs: Expected 0 to 1000, got -1.",
        "animals = ",
    ),
    "fraction in an object": (
        'name = "a"\n  star = { name = "y", legs = 1.5 }',
        "star.legs: Expected a whole number, got 1.5.",
        "star = ",
    ),
    "rule": ('name = "a"\n  climate = "wet"\n  animals = [{ name = "lion" }]', "Lions want a dry cage.", "animals"),
    "combination": (
        'name = "a"\n  secret = "long"\n  code_wo = "y"',
        "Expected at most one of secret, code_wo, got secret and code_wo.",
        "code_wo",
    ),
    "duration": ('name = "a"\n  timeouts {\n    create = "soon"\n  }', "Expected a duration such as 1h30m", "create"),
}


def diagnostics(tool: Tool, body: str) -> list[dict[str, object]]:
    tool.write(f'resource "zoo_cage" "a" {{\n  {body}\n}}')
    found: list[dict[str, object]] = json.loads(tool.run("validate", "-json").out)["diagnostics"]
    return found


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_argument(tool: Tool, what: str) -> None:
    body, detail, line = WRONG[what]
    (found,) = diagnostics(tool, body)
    assert detail in str(found["detail"])
    assert line in str(found["snippet"])


def test_all_wrong_arguments_at_once(tool: Tool) -> None:
    assert len(diagnostics(tool, 'name = "A!"\n  climate = "hot"\n  animals = [{ name = "9" }, { name = "8" }]')) == 4


def test_a_sensitive_value_is_not_shown(tool: Tool) -> None:
    (found,) = diagnostics(tool, 'name = "a"\n  secret = "abc"')
    assert found["detail"] == "Expected at least 4 characters. What came is sensitive and not shown."


def test_rules_wait_for_unknown_values(tool: Tool) -> None:
    tool.write("""
resource "zoo_cage" "a" {
  name = "a"
}
resource "zoo_cage" "b" {
  name    = "b"
  climate = zoo_cage.a.revision == "0" ? "wet" : "dry"
  animals = [{ name = "lion" }]
}
""")
    assert tool.run("plan").status == 0
    assert "Lions want a dry cage." in tool.apply().text


def test_a_set_that_defaults_make_ambiguous(tool: Tool) -> None:
    tool.write(
        'resource "zoo_cage" "a" {\n  name = "a"\n  keepers = [{ kind = "hay" }, { kind = "hay", grams = 0.1 }]\n}'
    )
    assert "two elements are the same" in tool.run("plan").text


def test_deferral_that_this_terraform_does_not_know(tool: Tool) -> None:
    tool.write('resource "zoo_cage" "a" {\n  name = "a"\n  behaviour = "deferred"\n}')
    text = tool.run("plan").text
    assert "This cannot be planned yet" in text
    assert "The zoo is not built yet." in text
