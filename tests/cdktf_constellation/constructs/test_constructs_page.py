# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The page about constructs: its Python runs, and what it shows is what comes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cdktf_constellation.errors import InvalidDescriptionError
from cdktf_constellation.model import LocalMachines

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[3] / "docs" / "constructs.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> Iterator[str]:
    """Blocks of a language, each on the lines of the page."""
    for found in re.finditer(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        yield "\n" * TEXT[: found.start(1)].count("\n") + found[1]


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks("python"):
        exec(compile(block, PAGE, "exec", dont_inherit=True), names)
    assert (tmp_path / "mini" / "main.tf.json").exists()
    assert (tmp_path / "cdktf.out" / "stacks" / "lab" / "cdk.tf.json").exists()


def test_the_message_of_the_page_is_what_comes() -> None:
    (shown,) = blocks("text")
    with pytest.raises(InvalidDescriptionError) as caught:
        LocalMachines("machines", workspace="mini", image="i", name="My Cluster", control_planes=2)
    assert str(caught.value) == shown.strip()
