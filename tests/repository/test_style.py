# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Rules of the house that no linter knows (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for package in ("attestation", "constellation_cli")
    for path in (REPOSITORY / package).rglob("*.py")
)
LIBRARY = [module for module in SOURCES if module.startswith("attestation/")]

NO_PACKAGES = ("ansible_collections", "benchmarks", "examples", "images", "tests")
SAYS_NOTHING = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
JUDGES = re.compile(r"_?(accept|attest|check|judge|validate|verif|is_(accept|genuine|trusted|valid|verified))")


def functions(module: str) -> Iterator[ast.FunctionDef]:
    tree = ast.parse((REPOSITORY / module).read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def is_property(function: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator) == "property" for decorator in function.decorator_list)


def answers_yes_or_no(function: ast.FunctionDef) -> bool:
    return function.returns is not None and "bool" in ast.unparse(function.returns)


@pytest.mark.parametrize("module", LIBRARY)
def test_no_judgement_is_a_truth_value(module: str) -> None:
    """A caller who forgets to look at True or False has verified nothing; whoever forgets an exception has not run."""
    judgements = (function for function in functions(module) if JUDGES.match(function.name))
    confused = [item.name for item in judgements if answers_yes_or_no(item) and not is_property(item)]
    assert confused == []


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_is_called_after_what_it_is(module: str) -> None:
    assert SAYS_NOTHING.isdisjoint(Path(module).with_suffix("").parts)


@pytest.mark.parametrize("folder", NO_PACKAGES)
def test_what_is_not_shipped_is_no_package(folder: str) -> None:
    assert list((REPOSITORY / folder).rglob("__init__.py")) == []


def test_proto_is_an_import_root_and_no_package() -> None:
    """A package of this name would shadow another library."""
    assert not (REPOSITORY / "proto" / "__init__.py").exists()


def test_every_test_file_has_a_name_of_its_own() -> None:
    counts = Counter(path.name for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert [name for name, count in counts.items() if count > 1] == []
