# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How much memory the machine and this program use, for whoever looks at them: proc_meminfo(5), proc_pid_statm(5)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_FIELDS: Final = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)
_KIB: Final = 1024  # in a MiB


def memory_in_use(source: Path = Path("/proc/meminfo")) -> str:
    """Say it in words: "143 of 1967 MiB"; nothing where the kernel does not tell.

    In use is what nobody could have back: neither free, nor a copy of what is on a disk.
    """
    try:
        sizes = {name: int(size) for name, size in _FIELDS.findall(source.read_text(encoding="ascii"))}
        copies = sizes["Buffers"] + sizes["Cached"] + sizes["SReclaimable"] - sizes["Shmem"]
        used = sizes["MemTotal"] - sizes["MemFree"] - copies
        return f"{used // _KIB} of {sizes['MemTotal'] // _KIB} MiB"
    except (OSError, KeyError, ValueError):
        return ""


def memory_of_program(source: Path = Path("/proc/self/statm")) -> int:
    """Give the memory of this program, bytes; 0 where the kernel does not tell."""
    try:
        return int(source.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
