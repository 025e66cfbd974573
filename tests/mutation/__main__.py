# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Break the checks of the library, one at a time, and see that a test notices (docs/mutation.md).

    python -m tests.mutation [--jobs N] [--survivors] [MODULE...]

Exit 0: every mutant was killed, changes words only, or is listed in `equivalents.toml` with a reason. What was tried
is not tried again until the library or its tests change, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.mutation.campaign import BaselineError, Result, try_module
from tests.mutation.equivalents import read_equivalents
from tests.mutation.journal import Journal
from tests.mutation.targets import TARGETS
from tests.mutation.trial import Outcome, make_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.mutation.mutants import Identity

ROOT: Final = Path(__file__).parents[2]


def main() -> int:
    """Run what the command line asks for."""
    options = _options()
    os.chdir(ROOT)
    os.environ["HYPOTHESIS_PROFILE"] = "ci"  # the same examples in each trial
    journal, equivalents = Journal(ROOT), read_equivalents(ROOT)
    say = _Speaker()
    say("making keys")
    make_keys()
    results = []
    try:
        for module in options.modules:
            result = try_module(
                ROOT,
                module,
                TARGETS[module],
                jobs=options.jobs,
                journal=journal,
                wanted=journal.survived_once if options.survivors else lambda _identity: True,
                say=say,
            )
            results.append(result)
    except BaselineError as error:
        say(str(error))
        return 1
    complaints = [complaint for result in results for complaint in _complaints(result, equivalents)]
    print(*complaints, *_table(results, equivalents), sep="\n")  # noqa: T201 - the answer
    return 1 if complaints else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Break checks; tests must notice.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", type=_module, help="paths; default: all targets")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trials at a time")
    parser.add_argument("--survivors", action="store_true", help="only what survived when it was tried last")
    options = parser.parse_args()
    options.modules = options.modules or list(TARGETS)
    return options


def _module(text: str) -> str:
    found = [module for module in TARGETS if text in (module, module.removeprefix("attestation/").removesuffix(".py"))]
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not a target; targets are: {', '.join(TARGETS)}")
    return found[0]


class _Speaker:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        sys.stderr.write(f"{minutes:3}:{seconds:02} {line}\n")


def _complaints(result: Result, equivalents: Mapping[Identity, str]) -> Iterator[str]:
    yield from (f"SURVIVED {mutant}\n" for mutant in result.survivors(equivalents))
    yield from (f"LISTED IN VAIN {reason}\n" for reason in result.listed_in_vain(equivalents))


def _table(results: Sequence[Result], equivalents: Mapping[Identity, str]) -> Iterator[str]:
    yield f"{'module':36}{'mutants':>9}{'killed':>8}{'words':>7}{'equivalent':>12}{'survived':>10}{'seconds':>9}"
    rows = []
    for result in results:
        survived, alone = len(result.having(Outcome.SURVIVED)), len(result.survivors(equivalents))
        killed, words = len(result.having(Outcome.KILLED)), len(result.having(Outcome.WORDS))
        rows.append((len(result.mutants), killed, words, survived - alone, alone, round(result.seconds)))
        yield _row(result.module, rows[-1])
    yield _row("together", [sum(column) for column in zip(*rows, strict=True)])


def _row(name: str, numbers: Sequence[int]) -> str:
    mutants, killed, words, equivalent, survived, seconds = numbers
    return f"{name:36}{mutants:>9}{killed:>8}{words:>7}{equivalent:>12}{survived:>10}{seconds:>9}"


if __name__ == "__main__":
    sys.exit(main())
