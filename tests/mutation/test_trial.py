# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A trial notices a check that is gone, accepts the real module, and remembers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.equivalents import read_equivalents
from tests.mutation.journal import Journal
from tests.mutation.mutants import Identity
from tests.mutation.trial import Outcome

REPOSITORY = Path(__file__).parents[2]
HERE = Identity("attestation/proof.py", "Proof.__post_init__", "if seal is not SEAL:", "if False:")


def in_a_process(script: str) -> str:
    """Run trials in a process that has not imported the library, as the tool does."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout


TRIAL = """
import os, sys
from pathlib import Path
from tests.mutation.mutants import mutants_of
from tests.mutation.trial import outcome, start
module, tests = "attestation/proof.py", ["tests/attestation/records/test_verdict.py"]
mutants = list(mutants_of(module, Path(module).read_text()))
for after in ("if False:", "if seal is SEAL:", None):
    mutant = after and next(mutant for mutant in mutants if mutant.after == after)
    child = start(mutant, real="", tests=tests, seconds=60, output=Path(os.devnull))
    print(outcome(os.waitpid(child, 0)[1]).value)
"""


def test_a_check_that_is_gone_or_turned_around_is_noticed() -> None:
    assert in_a_process(TRIAL).split() == ["killed", "killed", "survived"]


def test_an_outcome_is_remembered(tmp_path: Path) -> None:
    Journal(tmp_path).write(HERE, Outcome.SURVIVED)
    assert Journal(tmp_path).outcome(HERE) is Outcome.SURVIVED
    assert Journal(tmp_path).survived_once(HERE)
    Journal(tmp_path).write(HERE, Outcome.KILLED)
    assert Journal(tmp_path).outcome(HERE) is Outcome.KILLED
    assert not Journal(tmp_path).survived_once(HERE)


def test_an_outcome_is_forgotten_when_the_library_changes(tmp_path: Path) -> None:
    Journal(tmp_path).write(HERE, Outcome.SURVIVED)
    (tmp_path / "attestation").mkdir()
    (tmp_path / "attestation" / "proof.py").write_text("", encoding="utf-8")
    assert Journal(tmp_path).outcome(HERE) is None
    assert Journal(tmp_path).survived_once(HERE)


def listed(folder: Path, text: str) -> Path:
    (folder / "tests" / "mutation").mkdir(parents=True)
    (folder / "tests" / "mutation" / "equivalents.toml").write_text(text, encoding="utf-8")
    return folder


ENTRY = '[[equivalent]]\nmodule = "m"\nplace = "p"\nbefore = "b"\nafter = "a"\n'


def test_an_equivalent_has_a_reason(tmp_path: Path) -> None:
    listed(tmp_path, ENTRY + 'reason = "same"\n')
    assert read_equivalents(tmp_path) == {Identity("m", "p", "b", "a"): "same"}


@pytest.mark.parametrize("text", [ENTRY, ENTRY + 'reason = " "\n', (ENTRY + 'reason = "same"\n') * 2])
def test_an_equivalent_without_reason_or_listed_twice_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="listed twice, or without a reason"):
        read_equivalents(listed(tmp_path, text))


def test_every_equivalent_changes_lines_that_are_there() -> None:
    for identity in read_equivalents(REPOSITORY):
        lines = {line.strip() for line in (REPOSITORY / identity.module).read_text(encoding="utf-8").splitlines()}
        assert set(identity.before.splitlines()) <= lines
