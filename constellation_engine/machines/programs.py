# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that machines need from the operating system: found, or named with the package that brings them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineFailedError, MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Sequence

QEMU: Final = "qemu-system-x86_64"
LOG_TAIL: Final = 2000  # characters of a log in an error
_TIMEOUT: Final = 60.0  # seconds; half a second is usual
_PACKAGES: Final = {
    QEMU: "qemu-system-x86 (Debian, Fedora), qemu-system-x86_64 (Arch), qemu-x86 (openSUSE)",
    "qemu-img": "qemu-utils (Debian), qemu-img (Fedora, Arch), qemu-tools (openSUSE)",
    "swtpm": "swtpm",
    "swtpm_setup": "swtpm-tools (Debian, Fedora), swtpm (others)",
}


def find_program(name: str) -> Path:
    """Find a program.

    Raises:
        MissingProgramError: it is not installed; says which package has it.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingProgramError(f"the program {name} is not installed", hint=f"install the package {_PACKAGES[name]}")
    return Path(path)


def run(command: Sequence[str], *, descriptors: Sequence[int] = ()) -> None:
    """Run a program to its end, or until it has gone into the background.

    Args:
        command: the program and its arguments.
        descriptors: open files that it inherits.

    Raises:
        MachineFailedError: it fails, or does not end; with what it said.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - every argument is ours
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise MachineFailedError(f"{name} did not end in {_TIMEOUT:g} s") from None
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()[-LOG_TAIL:]
        raise MachineFailedError(f"{name} ended with code {done.returncode}: {said}")


def tail(log: Path, start: int = 0) -> str:
    """Give the end of a log file.

    Args:
        log: the file.
        start: byte before which nothing is of interest.
    """
    try:
        return log.read_bytes()[start:].decode(errors="replace").strip()[-LOG_TAIL:]
    except OSError:
        return ""
