# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Two threads import at the same time: with turns, one module is whole before the next one begins."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import importlib, sys, threading
sys.path.insert(0, sys.argv[1])
sys.together, sys.meeting, sys.patience = 1, threading.Barrier(2), float(sys.argv[3])
if sys.argv[2] == "in turn":
    from terraform_provider_constellation.plugin.serving.imports import one_at_a_time
    one_at_a_time()
    one_at_a_time()

def first():
    import slow_0

def second():
    STATEMENT

threads = [threading.Thread(target=work) for work in (first, second)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert {"slow_0", "slow_1"} <= set(sys.modules)
print(sys.together)
"""
MODULE = """
import sys, threading
try:
    sys.meeting.wait(sys.patience)  # for the other module, while this one is half there
    sys.together = 2
except threading.BrokenBarrierError:
    pass
"""


@pytest.mark.parametrize("statement", ["import slow_1", "importlib.import_module('slow_1')"])
@pytest.mark.parametrize("how, patience, together", [("in turn", "0.5", "1"), ("as ever", "30", "2")])
def test_imports_take_turns(tmp_path: Path, statement: str, how: str, patience: str, together: str) -> None:
    for number in (0, 1):
        (tmp_path / f"slow_{number}.py").write_text(MODULE)
    command = [sys.executable, "-c", PROGRAM.replace("STATEMENT", statement), str(tmp_path), how, patience]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (together, "")
