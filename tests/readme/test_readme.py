# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The README is true: its commands run, and print what it says.

A `console` block holds commands (`$ …`) and what they print, in which `…` stands for any text.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from attestation import Evidence, Variant
from attestation.testing.tpm import SoftwareTpm
from attestation.testing.uki import FakeUki

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ONE_SCREEN = 60  # lines


class Example(NamedTuple):
    """A command of the README and what it prints there."""

    command: str
    output: str


def examples() -> list[Example]:
    """Every command of every console block, in order."""
    blocks = "".join(BLOCK.findall(README)).replace("\\\n", " ")
    parts = [part.partition("\n") for part in re.split(r"^\$ ", blocks, flags=re.MULTILINE) if part]
    return [Example(command, output) for command, _, output in parts]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """The files that the README speaks of: an image, evidence of a node, and a policy that accepts it."""
    tpm = SoftwareTpm()
    for index in (4, 9, 11):
        tpm.event(index, b"what the node booted")
    evidence = Evidence(variant=Variant.QEMU_VTPM, tpm=tpm.evidence(bytes(32)))
    measurements = {str(index): {"expected": tpm.pcrs[index].hex(), "enforced": True} for index in (4, 9, 11, 12, 13)}
    policy = {"version": 1, "variant": "qemu-vtpm", "measurements": measurements}
    (tmp_path / "node.efi").write_bytes(FakeUki().build())
    (tmp_path / "node.json").write_bytes(evidence.to_json())
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    return tmp_path


@pytest.mark.parametrize(
    "example", [item for item in examples() if item.command.startswith("constellation ")], ids=lambda item: item.command
)
def test_a_command_prints_what_the_readme_says(example: Example, workplace: Path) -> None:
    words = shlex.split(example.command)
    program = Path(sys.executable).with_name(words[0])
    environment = {"PATH": os.environ["PATH"], "NO_COLOR": "1", "COLUMNS": "100"}
    result = subprocess.run(
        [program, *words[1:]], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    expected = ".*".join(map(re.escape, example.output.split("…")))
    assert re.fullmatch(expected, result.stdout, re.DOTALL), result.stdout + result.stderr


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"(?:`|\$ )make ([a-z-]+)", README)
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_readme_fits_on_a_screen() -> None:
    assert len(README.splitlines()) <= ONE_SCREEN
