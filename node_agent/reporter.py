# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Tells what the node is doing, at once and everywhere: journal, console, service manager."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from node_agent.memory import memory_in_use
from node_agent.phases import Entry, Phase

if TYPE_CHECKING:
    from node_agent.console import Console, View
    from node_agent.phases import Journal
    from node_agent.systemd import ServiceManager

_LOG: Final = logging.getLogger(__name__)


class Reporter:
    """Tells what happens.

    Args:
        journal: keeps it.
        console: shows it.
        manager: is told of it.
        view: what the console shows at first.
    """

    def __init__(self, journal: Journal, console: Console, manager: ServiceManager, view: View) -> None:
        self._journal = journal
        self._console = console
        self._manager = manager
        self._view = view
        self._noted = ""
        self.entered: dict[Phase, float] = {}
        """Phase → seconds of uptime when it began last."""

    @property
    def phase(self) -> Phase:
        """What the node is doing."""
        return self._view.phase or Phase.STARTING

    @property
    def view(self) -> View:
        """What the console shows."""
        return self._view

    def know(self, **facts: Any) -> None:  # noqa: ANN401 - as View says
        """Take facts for the next time that the console shows everything."""
        self._view = replace(self._view, **facts)

    def go_on(self) -> None:
        """Go on where the agent before this one was (`succession`)."""
        self.entered = self._journal.entered()
        self.know(phase=next(reversed(self.entered), Phase.STARTING))

    def enter(self, phase: Phase, reason: str = "", *, hint: str = "") -> None:
        """Tell of a phase that begins, or whose reason changes.

        Args:
            phase: which.
            reason: why, for people.
            hint: what to do about it.
        """
        self.know(phase=phase, reason=reason, hint=hint, memory=memory_in_use())
        self._noted = ""
        entry = Entry.now(phase, f"{reason} ({hint})" if hint else reason)
        self.entered[phase] = entry.uptime
        self._journal.write(entry)
        self._console.show(self._view, entry.uptime)
        self._manager.status(f"{phase}: {reason}" if reason else phase)
        if phase is not Phase.STARTING:  # from here on others may keep it waiting for as long as they like
            self._manager.ready()

    def note(self, detail: str) -> None:
        """Tell of progress within the phase; what was said last is not said again."""
        if detail == self._noted:
            return
        self._noted = detail
        entry = Entry.now(self.phase, detail)
        self._journal.write(entry)
        self._console.line(entry)
        _LOG.info("%s: %s", self.phase, detail)
