# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Verify once in this fresh process and print the peak of memory above import, as JSON in KiB.

    python -m benchmarks.peak_memory SUBJECT

`objects` is what `tracemalloc` sees: memory of the interpreter. `private` is what the kernel sees, OpenSSL's memory
included: the high-water mark of the address space, set back before the verification, less the pages of files, which
are shared libraries touched for the first time (VmHWM and RssFile in proc_pid_status(5), proc_pid_clear_refs(5)).
`ru_maxrss` will not do: a process inherits it from the one that started it.
"""

from __future__ import annotations

import json
import re
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.subjects import SUBJECTS

if TYPE_CHECKING:
    from benchmarks.subject import Verification

_RESET_PEAK: Final = "5"


def private(verify: Verification) -> int:
    """KiB by which private resident memory rose at its highest."""
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    before = _private_peak()
    verify()
    return _private_peak() - before


def _private_peak() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kibibytes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", status, re.MULTILINE))
    return int(kibibytes["VmHWM"]) - int(kibibytes["RssFile"])


def objects(verify: Verification) -> int:
    """KiB by which the interpreter's memory rose at its highest."""
    tracemalloc.start()
    verify()
    _, peak = tracemalloc.get_traced_memory()
    return peak // 1024


def main(name: str) -> None:
    """Measure both; `private` first, because the first verification is the one that counts."""
    verify = next(subject for subject in SUBJECTS if subject.name == name).verification()
    print(json.dumps({"private": private(verify), "objects": objects(verify)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
