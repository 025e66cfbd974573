# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The page about constructs: its Python runs, and what it shows is what comes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cdktf_constellation.errors import InvalidDescriptionError
from cdktf_constellation.model import LocalMachines

PAGE = Path(__file__).parents[3] / "docs" / "constructs.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    page = "\n".join(blocks("python"))
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parents[1])}
    subprocess.run([sys.executable, "-c", page], cwd=tmp_path, env=environment, check=True, timeout=55)
    assert (tmp_path / "mini" / "main.tf.json").exists()
    assert (tmp_path / "cdktf.out" / "stacks" / "lab" / "cdk.tf.json").exists()


def test_the_message_of_the_page_is_what_comes() -> None:
    (shown,) = blocks("text")
    with pytest.raises(InvalidDescriptionError) as caught:
        LocalMachines("machines", workspace="mini", image="i", name="My Cluster", control_planes=2)
    assert str(caught.value) == shown.strip()
