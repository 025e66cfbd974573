# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a host says about itself in files and by its programs, read and judged by nobody.

After proc(5), Linux Documentation/ABI/testing/sysfs-* and Documentation/admin-guide/kernel-parameters.txt. Nothing but
Python 3.9 is needed: the host may be bare.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM_TIMEOUT = 20.0  # seconds; QEMU on a busy host takes two to say its version
MAX_SAID = 1 << 22  # characters of what a program says

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.\d+)*")


@dataclass(frozen=True)
class Processor:
    """The first processor of a host, by /proc/cpuinfo.

    Attributes:
        vendor: as CPUID names it.
        family: combined base and extended family; -1 where nothing is said.
        model: the same.
        name: for people.
        flags: what it can do, as the kernel names it.
        microcode: its revision; "" where nothing is said.
    """

    vendor: str
    family: int
    model: int
    name: str
    flags: frozenset[str]
    microcode: str


def run_program(command: Sequence[str]) -> str:
    """Give what a program writes; "" where it is missing, fails, or does not end."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - every argument is ours
            [program, *command[1:]],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PROGRAM_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")[:MAX_SAID]


class HostFiles:
    """The files and programs of a host.

    Args:
        root: where its file system begins.
        run: runs a program and gives what it writes.
    """

    def __init__(self, root: Path = Path("/"), run: Callable[[Sequence[str]], str] = run_program) -> None:
        self._root = root
        self._run = run

    def text(self, path: str) -> str:
        """Give a file of text, without white space at its ends; "" where it cannot be read."""
        try:
            with (self._root / path).open(encoding="utf-8", errors="replace") as file:
                return file.read().replace("\0", "").strip()  # sysctls refuse to be asked for a bounded amount
        except OSError:
            return ""

    def names(self, path: str) -> list[str]:
        """Give the names in a folder, sorted; none where there is no folder."""
        try:
            return sorted(entry.name for entry in (self._root / path).iterdir())
        except OSError:
            return []

    def first_file(self, paths: Sequence[str]) -> str:
        """Give the first of these files that is there; "" for none."""
        return next((path for path in paths if (self._root / path.lstrip("/")).is_file()), "")

    def processor(self) -> Processor:
        """Read the first block of /proc/cpuinfo."""
        fields = _fields(self.text("proc/cpuinfo").partition("\n\n")[0])
        return Processor(
            vendor=fields.get("vendor_id", ""),
            family=_number(fields.get("cpu family", "")),
            model=_number(fields.get("model", "")),
            name=" ".join(fields.get("model name", "").split()),
            flags=frozenset(fields.get("flags", "").split()),
            microcode=fields.get("microcode", ""),
        )

    def command_line(self) -> list[tuple[str, str]]:
        """Give the kernel's parameters in order, each with its value; dashes and underlines are the same to it."""
        said = self.text("proc/cmdline").partition(" -- ")[0].split()
        pairs = (word.partition("=") for word in said)
        return [(name.replace("-", "_"), value.strip('"')) for name, _equals, value in pairs]

    def module_parameters(self, module: str) -> dict[str, str]:
        """Give the parameters of a kernel module that is there."""
        folder = f"sys/module/{module}/parameters"
        return {name: self.text(f"{folder}/{name}") for name in self.names(folder)}

    def kernel_log(self) -> list[str]:
        """Give what the kernel said since it booted, as far as somebody still knows."""
        said = self._run(("dmesg", "--color=never")) or self._run(("journalctl", "-k", "-b", "-o", "cat", "--no-pager"))
        return [_without_time(line) for line in (said or self.text("var/log/dmesg")).splitlines()]

    def memory(self) -> int:
        """Give all memory that the kernel has, MiB; 0 where nothing is said."""
        return max(0, _number(_fields(self.text("proc/meminfo")).get("MemTotal", "0").partition(" ")[0])) >> 10

    def program_version(self, *command: str) -> str:
        """Give the first line in which a program says its version; "" where there is no such program."""
        lines = self._run(command).splitlines()
        return next((line.strip() for line in lines if _VERSION.search(line)), "")


def version_of(text: str) -> tuple[int, int] | None:
    """Give the first version in a text, major and minor; None where there is none."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2])) if found else None


def is_switched_on(value: str) -> bool:
    """Whether a parameter of a module that is a truth value, or was a number once, is on."""
    return value in {"Y", "y", "1"}


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _equals, value in pairs}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1" * 19) else -1


def _without_time(line: str) -> str:
    return re.sub(r"^\[\s*\d+\.\d+\]\s*", "", line)
