# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the collection's README tells people to type is understood by the programs."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.collection.playing import COLLECTION, REPOSITORY, Player

if TYPE_CHECKING:
    from pathlib import Path

README = (COLLECTION / "README.md").read_text(encoding="utf-8")
QUICK_START = re.findall(r"```shell\n(.*?)```", README, re.DOTALL)[0].splitlines()
PLAYBOOKS = [line for line in QUICK_START if line.startswith("ansible-playbook ")]


def test_the_quick_start_has_ten_lines() -> None:
    assert len(QUICK_START) == 10


@pytest.mark.parametrize("line", PLAYBOOKS)
def test_its_playbooks_are_there_and_take_their_options(play: Player, line: str) -> None:
    program, *arguments = shlex.split(line)
    done = play.run(program, *arguments, "--syntax-check")
    assert done.returncode == 0, done.stdout


def test_its_inventory_is_one(play: Player, tmp_path: Path) -> None:
    """The folder is another one: that of the reader is not a test's business."""
    (written,) = (shlex.split(line)[1] for line in QUICK_START if line.startswith("printf"))
    (tmp_path / "constellation.yml").write_text(written.replace("\\n", "\n").replace("~", "/nowhere"))
    (program, *rest), (other, *more) = (shlex.split(line) for line in QUICK_START if "--inventory" in line)
    for name, arguments in ((program, rest), (other, more)):
        place = [str(tmp_path / word) if word == "constellation.yml" else word for word in arguments]
        assert "expected the workspace of a cluster" in " ".join(play.run(name, *place).stdout.split())


def test_its_documentation_can_be_read(play: Player) -> None:
    (line,) = (shlex.split(line) for line in QUICK_START if line.startswith("ansible-doc"))
    assert "CLUSTER_VERIFY" in play.run(*line).stdout.upper()


def test_what_it_installs_is_an_extra_of_ours() -> None:
    assert "pip install 'constellation-kubernetes[ansible]'" in QUICK_START
    assert "\nansible = [" in (REPOSITORY / "pyproject.toml").read_text()


def test_it_names_every_filter() -> None:
    filters = {path.stem for path in (COLLECTION / "plugins/filter").glob("*.py")}
    assert all(f"`{name}`" in README for name in filters)
