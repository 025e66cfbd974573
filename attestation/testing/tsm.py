# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel's configfs-TSM interface in memory.

Each answer can be broken with one line:

    files = FakeTsmFiles(TsmProvider.TDX, platform.quote)
    files.lost_writes = 1                                      # the kernel swallows a write
    files.errors["outblob"] = TimeoutError(errno.ETIMEDOUT, "quoting service is down")
    files.provider = "sev_guest"                               # another driver

    TsmReports(files).request(bytes(64), TsmProvider.TDX)
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class FakeTsmFiles:
    """Answers as the kernel would.

    Attributes:
        provider: name of the driver.
        answer: bytes that are to be signed → report.
        auxblob: what the host adds; None where the driver has no such file.
        errors: file name (or `make`) → the error that it gives.
        lost_writes: how many of the next writes are not counted.
        entries: entries that exist, name → what was written into it; empty when everybody cleaned up.
    """

    provider: str
    answer: Callable[[bytes], bytes]
    auxblob: bytes | None = None
    errors: dict[str, OSError] = field(default_factory=dict)
    lost_writes: int = 0
    entries: dict[str, dict[str, bytes]] = field(default_factory=dict)
    _generations: dict[str, int] = field(default_factory=dict, repr=False)

    def make(self, entry: str) -> None:
        """Make an entry."""
        self._fail("make")
        self.entries[entry] = {}
        self._generations[entry] = 0

    def remove(self, entry: str) -> None:
        """Remove an entry."""
        self._fail("remove")
        del self.entries[entry]

    def read(self, entry: str, attribute: str) -> bytes:
        """Read a file of an entry."""
        self._fail(attribute)
        match attribute:
            case "provider":
                return f"{self.provider}\n".encode("ascii")
            case "generation":
                return f"{self._generations[entry]}\n".encode("ascii")
            case "outblob":
                return self.answer(self.entries[entry]["inblob"])
            case "auxblob" if self.auxblob is not None:
                return self.auxblob
            case _:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), attribute)

    def write(self, entry: str, attribute: str, value: bytes) -> None:
        """Write a file of an entry."""
        self._fail(attribute)
        self.entries[entry][attribute] = value
        if self.lost_writes:
            self.lost_writes -= 1
        else:
            self._generations[entry] += 1

    def _fail(self, name: str) -> None:
        if name in self.errors:
            raise self.errors[name]
