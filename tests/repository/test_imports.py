# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The evidence library is pure: what it may import, when, and who may vouch.

import-linter holds the layers (pyproject.toml); here is what it cannot say.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
MODULES = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "attestation").rglob("*.py"))

ALWAYS = sys.stdlib_module_names | {"attestation", "cryptography"}
EXTRAS = {"attestation/tdx/collateral.py": "dcap_qvl", "attestation/tpm/pytss.py": "tpm2_pytss"}
"""Module → the optional dependency that it may import, inside a function."""

SEALING = {"attestation/proof.py", "attestation/insecure.py"}
"""Modules that hold the seal of a proof without being called verify.py."""


def tree_of(module: str) -> ast.Module:
    return ast.parse((REPOSITORY / module).read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    """Top-level packages that this statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield (node.module or "").partition(".")[0] if not node.level else "attestation"


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that run when the module is imported: none inside a function or under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        never_runs = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not never_runs and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from at_import(child)


def names(tree: ast.Module) -> Iterator[str]:
    """Every name that the module speaks of."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name


@pytest.mark.parametrize("module", MODULES)
def test_imports_the_standard_library_and_cryptography_only(module: str) -> None:
    found = {name for node in ast.walk(tree_of(module)) for name in imported(node)}
    assert found - ALWAYS <= {EXTRAS.get(module)}


@pytest.mark.parametrize("module", MODULES)
def test_an_extra_is_imported_when_it_is_used(module: str) -> None:
    found = {name for node in at_import(tree_of(module)) for name in imported(node)}
    assert found <= ALWAYS


@pytest.mark.parametrize("module", MODULES)
def test_only_a_verification_can_seal_a_proof(module: str) -> None:
    if module not in SEALING and Path(module).name != "verify.py":
        assert "SEAL" not in names(tree_of(module))


def test_importing_the_library_loads_no_third_party_package() -> None:
    script = "import sys; before = set(sys.modules); import attestation; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert {name.partition(".")[0] for name in loaded} <= sys.stdlib_module_names | {"attestation"}
