# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m constellation_engine.machines start FOLDER`: what the units of guests run (`systemd`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from constellation_engine.errors import MachineError
from constellation_engine.machines.machine import Machine


def main() -> int:
    """Start or stop one machine; 1 and a sentence where that fails."""
    parser = argparse.ArgumentParser(prog="python -m constellation_engine.machines")
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    machine = Machine(given.folder)
    try:
        if given.action == "start":
            machine.start(lambda text: print(text, file=sys.stderr))  # noqa: T201 - for the journal
        else:
            machine.stop()
    except MachineError as error:
        print(error, error.hint, sep="\n", file=sys.stderr)  # noqa: T201 - the same
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
