# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""All trials of one module, several at a time, and what they add up to."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from tests.mutation.mutants import mutants_of
from tests.mutation.trial import Outcome, outcome, start
from tests.mutation.wording import without_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.mutation.journal import Journal
    from tests.mutation.mutants import Identity, Mutant

BASELINE_SECONDS: Final = 600
REPORT_EVERY: Final = 15  # seconds


class BaselineError(Exception):
    """The tests refuse the real module, so that they can say nothing about a changed one."""


@dataclass
class Result:
    """What became of the mutants of one module.

    Attributes:
        module: path in the repository.
        mutants: all of them.
        outcomes: what became of each; one that was left out is missing.
        seconds: how long it took, wall clock.
    """

    module: str
    mutants: Sequence[Mutant]
    outcomes: dict[Identity, Outcome] = field(default_factory=dict)
    seconds: float = 0.0

    def having(self, outcome: Outcome) -> list[Mutant]:
        """Mutants with this outcome."""
        return [mutant for mutant in self.mutants if self.outcomes.get(mutant.identity) is outcome]

    def survivors(self, equivalents: Mapping[Identity, str]) -> list[Mutant]:
        """Mutants that nobody noticed and nobody explained."""
        return [mutant for mutant in self.having(Outcome.SURVIVED) if mutant.identity not in equivalents]

    def listed_in_vain(self, equivalents: Mapping[Identity, str]) -> Iterator[str]:
        """What the list of equivalents says about this module and is not so (any more)."""
        known = {mutant.identity for mutant in self.mutants}
        for identity in equivalents:
            if identity.module == self.module and identity not in known:
                yield f"there is no such mutant: {identity}"
            elif self.outcomes.get(identity, Outcome.SURVIVED) is not Outcome.SURVIVED:
                yield f"it is not equivalent but {self.outcomes[identity].value}: {identity}"


def try_module(
    root: Path,
    module: str,
    tests: Sequence[str],
    *,
    jobs: int,
    journal: Journal,
    wanted: Callable[[Identity], bool],
    say: Callable[[str], None],
) -> Result:
    """Try all mutants of a module whose outcome is not known.

    Args:
        root: root of the repository.
        module: path in it.
        tests: files and folders with tests of it.
        jobs: how many trials run at a time.
        journal: what is known, and where outcomes are kept.
        wanted: whether a mutant is to be tried.
        say: takes a line about the progress.

    Raises:
        BaselineError: the tests fail already without a mutant.
        BrokenTrialError: a trial ended by something else than its tests.
    """
    began = last = time.monotonic()
    source = (root / module).read_text(encoding="utf-8")
    result = Result(module, list(mutants_of(module, source)))
    known = {mutant.identity: journal.outcome(mutant.identity) for mutant in result.mutants}
    result.outcomes |= {identity: kept for identity, kept in known.items() if kept is not None}
    waiting = [mutant for mutant in result.mutants if known[mutant.identity] is None and wanted(mutant.identity)]
    if not waiting:
        return result
    limit = _baseline(module, tests, journal.folder)
    say(f"{module}: {len(waiting)} of {len(result.mutants)} mutants to try")
    begin = partial(start, real=without_words(source), tests=tests, seconds=limit, output=journal.folder / "trial.log")
    for tried, (mutant, found) in enumerate(_trials(waiting, begin, jobs), 1):
        result.outcomes[mutant.identity] = found
        journal.write(mutant.identity, found)
        if time.monotonic() - last > REPORT_EVERY:
            last = time.monotonic()
            say(f"{module}: {tried} of {len(waiting)}, {len(result.having(Outcome.SURVIVED))} survived")
    result.seconds = time.monotonic() - began
    return result


def _baseline(module: str, tests: Sequence[str], folder: Path) -> int:
    """Give the processor time that no trial can need."""
    output = folder / "baseline.log"
    child = start(None, real="", tests=tests, seconds=BASELINE_SECONDS, output=output)
    _, status, used = os.wait4(child, 0)
    if outcome(status) is not Outcome.SURVIVED:
        raise BaselineError(f"tests of {module} fail without a mutant:\n{output.read_text(encoding='utf-8')[-4000:]}")
    return math.ceil(3 * (used.ru_utime + used.ru_stime)) + 20


def _trials(mutants: Iterable[Mutant], begin: Callable[[Mutant], int], jobs: int) -> Iterator[tuple[Mutant, Outcome]]:
    waiting, running = iter(mutants), dict[int, "Mutant"]()
    while True:
        for mutant in islice(waiting, jobs - len(running)):
            running[begin(mutant)] = mutant
        if not running:
            return
        process, status = os.wait()
        yield running.pop(process), outcome(status)
