# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The console says how much memory is in use; where the kernel does not tell, it says nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from node_agent.memory import memory_in_use, memory_of_program

if TYPE_CHECKING:
    from pathlib import Path


def test_copies_of_what_is_on_disks_are_not_in_use(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(
        "MemTotal:        2014208 kB\nMemFree:         1800000 kB\nMemAvailable:    1767776 kB\n"
        "Buffers:            5000 kB\nCached:            70000 kB\nShmem:             11000 kB\n"
        "SReclaimable:       3776 kB\nHugePages_Total:       0\n"
    )
    assert memory_in_use(meminfo) == "143 of 1967 MiB"


@pytest.mark.parametrize("content", ["", "MemTotal: 5 kB\n", "MemTotal: many kB\nMemFree: 3 kB\n", "ü"])
def test_what_is_not_told_is_not_said(tmp_path: Path, content: str) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(content)
    assert memory_in_use(meminfo) == ""


def test_this_machine_uses_some() -> None:
    assert memory_in_use().endswith(" MiB")


@pytest.mark.parametrize("content, pages", [("100 20 5 1 0 30 0\n", 20), ("", 0), ("100", 0), ("a b", 0), ("ü", 0)])
def test_a_program_uses_the_pages_that_are_resident(tmp_path: Path, content: str, pages: int) -> None:
    statm = tmp_path / "statm"
    statm.write_text(content)
    assert memory_of_program(statm) == pages * os.sysconf("SC_PAGE_SIZE")
