# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The Go libraries beside which our figures are printed: build their program (`benchmarks/peers/`), and ask it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

SOURCE: Final = Path(__file__).parent / "peers"
PROGRAM: Final = SOURCE / ".build" / "peers"


class PeersMissingError(Exception):
    """The program of the peers could not be built; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A library that verifies the same evidence.

    Attributes:
        module: its Go module.
        command: what to ask the program for, see `peers/main.go`.
        extra: vectors that the library needs besides the files of the subject.
    """

    module: str
    command: str
    extra: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name and version of what is built: `go-sev-guest 0.15.0`."""
        required = re.search(rf"{re.escape(self.module)} v(\S+)", (SOURCE / "go.mod").read_text(encoding="utf-8"))
        return " ".join((self.module.rpartition("/")[2], *(required.groups() if required else ())))

    def rate(self, files: Iterable[Path], *, seconds: float, at: datetime) -> float:
        """Verifications per second of processor time, as `measure.rate` counts them."""
        options = ("-for", f"{seconds}s", "-at", at.isoformat())
        command = (str(PROGRAM), *options, self.command, *map(str, files))
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return float(json.loads(answer.stdout)["per_second"])


def build() -> str:
    """Build the program where it is not up to date.

    Returns:
        Version of the Go that built it.

    Raises:
        PeersMissingError: Go is not installed, or the modules cannot be had.
    """
    go = shutil.which("go")
    if go is None:
        raise PeersMissingError("Go is not installed")
    command = (go, "build", "-trimpath", "-o", PROGRAM, ".")
    built = subprocess.run(command, cwd=SOURCE, check=False, capture_output=True, text=True)
    if built.returncode:
        raise PeersMissingError(f"go build fails: {built.stderr.strip()}")
    version = subprocess.run((go, "env", "GOVERSION"), cwd=SOURCE, check=True, capture_output=True, text=True)
    return version.stdout.strip().removeprefix("go")
