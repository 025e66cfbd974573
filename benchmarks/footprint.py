# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the library costs beside time: its import, and the memory of one verification. Always in fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from benchmarks.subject import REPOSITORY
from benchmarks.table import Promise, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from benchmarks.subject import Subject

IMPORT_TARGET: Final = 60  # milliseconds
MEMORY_TARGET: Final = 1024  # KiB

_TIMED_IMPORT: Final = """
import time
start = time.process_time()
import {module}
print(time.process_time() - start)
"""


def import_rows(rounds: int) -> Iterator[Row]:
    """Processor time to import the library, and with it what verifies; the bare interpreter is not counted."""
    milliseconds = import_milliseconds("attestation", rounds)
    yield Row(
        what="import attestation",
        ours=f"{milliseconds:.1f} ms",
        promises=(Promise(f"≤ {IMPORT_TARGET} ms", kept=milliseconds <= IMPORT_TARGET),),
    )
    milliseconds = import_milliseconds("attestation.snp.verify", rounds)
    yield Row(what="import attestation.snp.verify, with cryptography", ours=f"{milliseconds:.1f} ms")


def import_milliseconds(module: str, rounds: int) -> float:
    """Processor time to import a module, or several with commas between them, in a fresh process."""
    program = _TIMED_IMPORT.format(module=module)
    with TemporaryDirectory() as cache:  # compiled beforehand, as installers leave it
        environment = compiled(cache)
        _run("-c", program, **environment)
        return 1000 * median(float(_run("-c", program, **environment)) for _ in range(rounds))


def compiled(folder: Path | str) -> dict[str, str]:
    """What has Python keep compiled modules in a folder, whatever the user's environment says."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}


def memory_rows(subjects: Iterable[Subject]) -> Iterator[Row]:
    """Peak memory of the first verification of a process, above what it had when everything was imported."""
    for subject in subjects:
        peak = json.loads(_run("-m", "benchmarks.peak_memory", subject.name))
        yield Row(
            what=f"peak memory, {subject.name}",
            ours=f"{peak['private']} KiB, of it objects {peak['objects']} KiB",
            promises=(Promise(f"≤ {MEMORY_TARGET} KiB", kept=max(peak.values()) <= MEMORY_TARGET),),
        )


def _run(*arguments: str, **environment: str) -> str:
    command = (sys.executable, *arguments)
    answer = subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return answer.stdout
