# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every plugin says what it is and shows how it is used, and has a test; every module is in the action group."""

from __future__ import annotations

import ast
from pathlib import Path  # noqa: TC003 - of a parameter
from typing import Any

import pytest
import yaml

from tests.collection.playing import COLLECTION, REPOSITORY

MODULES = sorted((COLLECTION / "plugins/modules").glob("*.py"))
PLUGINS = sorted(path for kind in ("filter", "inventory") for path in (COLLECTION / "plugins" / kind).glob("*.py"))
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests/collection").rglob("test_*.py"))
GPL = "# SPDX-License-" + "Identifier: GPL-3.0-or-later"  # in one piece it would be this file's own licence


def named(path: Path) -> str:
    return path.stem


def constants(path: Path) -> dict[str, str]:
    """Give the texts that a plugin assigns at its top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def documentation(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(constants(path)["DOCUMENTATION"])
    return found


@pytest.mark.parametrize("path", [*MODULES, *PLUGINS], ids=named)
def test_a_plugin_is_described_and_shown(path: Path) -> None:
    said = documentation(path)
    assert said["version_added"] == "0.1.0"
    assert said["short_description"]
    assert list(yaml.safe_load_all(constants(path)["EXAMPLES"]))
    assert GPL in path.read_text(encoding="utf-8").splitlines()[:3]


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_examples_of_a_module_use_it_with_options_that_it_has(path: Path) -> None:
    name = f"constellation.core.{path.stem}"
    used = [task[name] or {} for task in yaml.safe_load(constants(path)["EXAMPLES"]) if name in task]
    assert used
    fragments = documentation(path).get("extends_documentation_fragment", [])
    options = {*documentation(path).get("options", {}), *(option for one in fragments for option in shared(one))}
    assert all(set(task) <= options for task in used)


def shared(fragment: str) -> dict[str, Any]:
    """Give the options of a documentation fragment of ours."""
    name, _, variant = fragment.removeprefix("constellation.core.").partition(".")
    path = COLLECTION / "plugins/doc_fragments" / f"{name}.py"
    wanted = (variant or "documentation").upper()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == wanted:
            options: dict[str, Any] = yaml.safe_load(ast.literal_eval(node.value)).get("options") or {}
            return options
    raise AssertionError(fragment)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_what_it_returns(path: Path) -> None:
    assert yaml.safe_load(constants(path)["RETURN"])


@pytest.mark.parametrize("path", [*MODULES, *PLUGINS], ids=named)
def test_a_plugin_has_a_test(path: Path) -> None:
    assert f'"{path.stem}"' in TESTS or f".{path.stem} import" in TESTS or f"constellation.core.{path.stem}" in TESTS


ATTRIBUTES = "constellation.core.attributes"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_that_only_looks_is_called_info(path: Path) -> None:
    fragments = documentation(path).get("extends_documentation_fragment", [])
    looks = any(name in fragments for name in (f"{ATTRIBUTES}.info", f"{ATTRIBUTES}.bare_info"))
    assert looks or not path.stem.endswith("_info")


def test_every_module_is_in_the_action_group() -> None:
    runtime = yaml.safe_load((COLLECTION / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert runtime["action_groups"]["all"] == [path.stem for path in MODULES]
