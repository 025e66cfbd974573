# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The framework stands on few libraries, and a program announces itself before it loads most of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[3] / "terraform_provider_constellation" / "plugin"
MODULES = sorted(path for path in PLUGIN.rglob("*.py") if not path.name.endswith("_pb2.py"))
ALLOWED = sys.stdlib_module_names | {"cryptography", "google", "grpclib", "msgpack"}
OURS = "terraform_provider_constellation.plugin"


def imported(module: Path) -> set[str]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {*names, *(alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names)}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PLUGIN).as_posix())
def test_a_module_imports_ours_and_few_others(module: Path) -> None:
    others = {name for name in imported(module) if not name.startswith(OURS)}
    assert {name.partition(".")[0] for name in others} <= ALLOWED


def test_what_announces_a_provider_loads_little() -> None:
    script = f"import sys, {OURS}.serving; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert not {"asyncio", "grpclib", "google.protobuf", "msgpack", f"{OURS}.api"} & set(loaded)
