# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured: recorded evidence, our verification of it, and the peer that verifies the same files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from benchmarks.peer import Peer

    Verification: TypeAlias = Callable[[], object]

REPOSITORY: Final = Path(__file__).parents[1]
VECTORS: Final = Path(os.environ.get("CONSTELLATION_VECTORS") or REPOSITORY.parent / "shared" / "vectors")
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Time of every verification: all recorded certificates are valid, also when this runs after they expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing that is measured.

    Attributes:
        name: what the table calls it.
        prepare: takes the contents of the files and gives one verification of them; what it does before that is not
            measured.
        files: the evidence, relative to the recorded vectors.
        target: verifications per second that we promise, if we do.
        peer: the library to compare with, if there is one.
        ratio: how many times as fast as the peer we promise to be.
    """

    name: str
    prepare: Callable[..., Verification]
    files: tuple[str, ...] = ()
    target: int | None = None
    peer: Peer | None = None
    ratio: float | None = None

    def verification(self) -> Verification:
        """Read the files and prepare."""
        return self.prepare(*((VECTORS / name).read_bytes() for name in self.files))

    def peer_files(self) -> tuple[Path, ...]:
        """What the peer reads."""
        extra = self.peer.extra if self.peer is not None else ()
        return tuple(VECTORS / name for name in (*self.files, *extra))
