# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Run a scenario of molecule, in the collection of this repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.collection.playing import COLLECTION

if TYPE_CHECKING:
    from tests.collection.playing import Player


def scenario(play: Player, name: str, *, seconds: float, **variables: str) -> None:
    """Run one; it must come to its end.

    Args:
        play: whose home it has.
        name: of the scenario.
        seconds: that it may take.
        variables: of its environment.
    """
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["molecule", "test", "--scenario-name", name],
        check=False,
        cwd=COLLECTION,
        env=play.environment | {"PATH": programs} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout[-8000:]
