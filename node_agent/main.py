# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program `constellation-node-agent`: settings, signals, and the one state machine."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node_agent.assembly import RealAssembly
from node_agent.console import Console, View
from node_agent.loops import background
from node_agent.phases import Journal, Phase
from node_agent.reporter import Reporter
from node_agent.settings import Settings
from node_agent.state_machine import StateMachine
from node_agent.status import StatusServer
from node_agent.succession import begin_anew
from node_agent.systemd import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constellation_core.keys.secret import Secret


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the agent until it is told to end."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    secret = asyncio.run(run(Settings(**_settings(arguments))))
    if secret is not None:
        begin_anew(secret)


async def run(settings: Settings) -> Secret | None:
    """Live until SIGTERM or SIGINT, or until a smaller agent is to follow this one.

    Returns:
        What that one needs; None where the agent was told to end.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with ServiceManager() as manager:
        reporter = Reporter(Journal(settings.run), Console(settings.console), manager, View())
        machine = StateMachine(settings, reporter, RealAssembly(settings))
        status = StatusServer(reporter, lambda: machine.peers)
        try:
            await status.start(settings.status_port)
        except OSError as error:  # a node serves without telling
            reporter.note(f"status on port {settings.status_port}: {error.strerror}")
        async with background(manager.keep_alive()), background(machine.run()) as living:
            told = asyncio.ensure_future(stop.wait())
            await asyncio.wait({living, told}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            status.close()
            if living.done():
                return living.result()
            reporter.enter(Phase.STOPPING, "was told to end")
            manager.stopping()
            return None


def _settings(arguments: Sequence[str] | None) -> dict[str, Any]:
    """Read options. The image gives none: each is there for tests."""
    parser = argparse.ArgumentParser(prog="constellation-node-agent", description="Runs in every node.")
    for field in fields(Settings):
        default = field.default
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=_kind(default), default=default)
    return vars(parser.parse_args(arguments))


def _kind(default: object) -> type:
    return Path if isinstance(default, Path) else type(default)
