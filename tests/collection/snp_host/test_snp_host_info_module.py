# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The module on the machine that runs the tests: it changes nothing, and says exactly what is missing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.collection.modules.running import run_module

REPOSITORY = Path(__file__).parents[3]


def test_it_looks_and_changes_nothing() -> None:
    answer = run_module("snp_host_info")
    assert not answer["changed"]
    assert answer["ready"] == all(check["ok"] for check in answer["checks"] if check["needed"])
    assert run_module("snp_host_info", check=True)["checks"] == answer["checks"]


@pytest.mark.skipif(Path("/dev/sev").exists(), reason="this may be an SEV-SNP host")
def test_a_host_without_snp_is_told_what_to_do() -> None:
    answer = run_module("snp_host_info", minimum_tcb={"snp": 24})
    lacking = {check["name"]: check for check in answer["checks"] if not check["ok"]}
    assert "modprobe ccp" in lacking["/dev/sev"]["fix"]
    assert all(
        f"{name}: expected {check['expected']}" in answer["verdict"]
        for name, check in lacking.items()
        if check["needed"]
    )
    assert answer["chip_ids"] == []


@pytest.mark.parametrize("arguments, said", [({"memory": "much"}, "memory"), ({"minimum_tcb": {"uefi": 1}}, "uefi")])
def test_what_is_wrong_with_options_is_named(arguments: dict[str, Any], said: str) -> None:
    answer = run_module("snp_host_info", **arguments)
    assert answer["failed"]
    assert said in answer["msg"]


PARTS = ("host_files", "sev_firmware", "snp_host")


@pytest.mark.parametrize("path", [*(f"module_utils/{name}.py" for name in PARTS), "modules/snp_host_info.py"])
def test_old_python_reads_it(path: str) -> None:
    text = (REPOSITORY / "ansible_collections/constellation/core/plugins" / path).read_text()
    ast.parse(text, feature_version=(3, 9))
    assert "slots=" not in text  # dataclasses have them from 3.10 on


def test_its_parts_need_nothing_but_python(tmp_path: Path) -> None:
    """A bare host gets no packages: what the module imports must be there with Python alone."""
    place = "ansible_collections.constellation.core.plugins.module_utils"
    program = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); " + "; ".join(
        f"import {place}.{name}" for name in PARTS
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True, cwd=tmp_path)
