# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""See what a server does: an observer that remembers, and waiting until something is so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.verdict import Verdict
    from constellation_core.channel.refusals import Reason, Refusal

_PAUSE = 0.002  # seconds


@dataclass(slots=True)
class Recorder:
    """An observer that remembers.

    Attributes:
        passed: verdict of each connection that passed, in order; None where clients do not attest.
        refusals: the others.
    """

    passed: list[Verdict | None] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def accepted(self, address: str, verdict: Verdict | None) -> None:
        """Remember a connection that passed."""
        del address
        self.passed.append(verdict)

    def refused(self, refusal: Refusal) -> None:
        """Remember a connection that did not."""
        self.refusals.append(refusal)

    @property
    def reasons(self) -> list[Reason]:
        """Why connections did not pass."""
        return [refusal.reason for refusal in self.refusals]

    @property
    def mismatches(self) -> list[str]:
        """Names of what the last verdict says against a peer that did not pass."""
        verdicts = [refusal.verdict for refusal in self.refusals if refusal.verdict is not None]
        return [mismatch.name for mismatch in verdicts[-1].mismatches] if verdicts else []

    async def outcome(self, count: int = 1) -> Recorder:
        """Wait until some connections have passed or not."""
        await until(lambda: len(self.passed) + len(self.refusals) >= count)
        return self


async def until(condition: Callable[[], object], *, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - it says so
    """Wait until something is so.

    Raises:
        TimeoutError: it did not become so in time.
    """
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - what is waited for is anything, and tells nobody
            await asyncio.sleep(_PAUSE)
