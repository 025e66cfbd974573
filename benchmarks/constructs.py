# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How long it takes to write Terraform's JSON, from Python's start to its end: `python -m benchmarks.constructs`.

Both ways are those of `examples/mini_cdktf`. The peer of the constructs is an empty stack of their library, which
starts Node.js: ours cannot go below that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks.footprint import compiled
from benchmarks.subject import REPOSITORY
from benchmarks.table import Promise, Row
from benchmarks.terraform import report

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET: Final = 0.4  # seconds
_EXAMPLE: Final = REPOSITORY / "examples" / "mini_cdktf"
_EMPTY: Final = "import cdktn; app = cdktn.App(); cdktn.TerraformStack(app, 'empty'); app.synth()"


def _seconds(rounds: int, *arguments: str) -> float:
    """Give the best of several runs, of modules that were compiled before."""
    with TemporaryDirectory() as folder:
        environment = os.environ | compiled(Path(folder, "compiled"))
        times = []
        for _ in range(rounds + 1):
            start = perf_counter()
            command = (sys.executable, *arguments)
            subprocess.run(command, check=True, cwd=folder, env=environment, capture_output=True)
            times.append(perf_counter() - start)
    return min(times[1:])


def _rows(rounds: int) -> Iterator[Row]:
    plain = _seconds(rounds, str(_EXAMPLE / "plain.py"))
    promise = Promise(f"≤ {TARGET:g} s", kept=plain <= TARGET)
    yield Row(what="the plain model", ours=f"{plain:.2f} s", promises=(promise,))
    ours, peers = _seconds(rounds, str(_EXAMPLE / "main.py")), _seconds(rounds, "-c", _EMPTY)
    promise = Promise(f"≤ {TARGET:g} s more than an empty stack", kept=ours - peers <= TARGET)
    yield Row(
        what="constructs",
        ours=f"{ours:.2f} s",
        peer=f"{peers:.2f} s (empty stack)",
        ratio=f"{ours / peers:.2f} ×",
        promises=(promise,),
    )


if __name__ == "__main__":
    sys.exit(report(__doc__, _rows, needs=["node"]))
