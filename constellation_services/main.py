# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation-services {join,keys,storage,verify}`: one program, one service a process.

A service is a module with `Settings`, a frozen dataclass, and `run(settings, stop)`, which serves until the event is
set and then drains. Only the module that runs is imported.

SIGTERM and SIGINT set the event. Exit status: 0 drained, 1 failed, 64 wrong command line.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import importlib
import logging
import resource
import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from attestation.errors import AttestationError
from constellation_core.errors import CoreError
from constellation_services.errors import ServiceError
from constellation_services.logs import Level, log_to
from constellation_services.settings import add_options, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM: Final = "constellation-services"
USAGE: Final = 64  # EX_USAGE of sysexits.h
SWITCH_INTERVAL: Final = (
    0.0005  # seconds: a thread that judges evidence does not keep the event loop waiting for longer
)

COLLECTIONS: Final = (500, 5, 1_000)  # new objects, and younger collections, before each of the three generations

SERVICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "join": "let nodes in that prove themselves",
        "keys": "give other services the keys that are theirs",
        "storage": "make and delete volumes on the state disk of this node",
        "verify": "prove this node to whoever asks",
    }
)

_LOG: Final = logging.getLogger(__name__)


class Service(Protocol):
    """The module of a service."""

    Settings: type[Any]

    async def run(self, settings: Any, stop: asyncio.Event) -> None:  # noqa: ANN401 - each has its own
        """Serve until the event is set, then drain."""


class _Parser(ArgumentParser):
    """A parser whose exit status for a wrong command line is that of all our programs."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service that the command line names.

    Args:
        arguments: the command line; None for that of this process.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in SERVICES:
        _overview().parse_args(words)
        return 0
    service = _load(words[0])
    options = _parser(words[0], service).parse_args(words[1:])
    log_to(level=options.log_level)
    _prepare_process()
    try:
        asyncio.run(_serve(service, read_settings(service.Settings, options)))
    except (AttestationError, CoreError, ServiceError, OSError) as error:
        _LOG.critical("%s", error, extra={"hint": getattr(error, "hint", "")})
        return 1
    except Exception:  # noqa: BLE001 - a traceback is a bug, and one line of the log like everything else
        _LOG.critical("stopped by an error that nobody foresaw", exc_info=True)
        return 1
    return 0


def _overview() -> ArgumentParser:
    services = "\n".join(f"  {name:8}{text}" for name, text in SERVICES.items())
    parser = _Parser(
        prog=PROGRAM,
        description=f"services:\n{services}",
        epilog=f"{PROGRAM} SERVICE --help lists the options of a service.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("service", metavar="SERVICE", choices=SERVICES, help="which service to run")
    return parser


def _load(name: str) -> Service:
    module: Any = importlib.import_module(f"constellation_services.{name}.service")
    service: Service = module
    return service


def _parser(name: str, service: Service) -> ArgumentParser:
    parser = _Parser(prog=f"{PROGRAM} {name}", description=f"{SERVICES[name]}.".capitalize(), allow_abbrev=False)
    levels = ", ".join(Level)
    parser.add_argument("--log-level", type=Level, default=Level.INFO, metavar="LEVEL", help=f"one of {levels}")
    add_options(parser, service.Settings)
    return parser


def _prepare_process() -> None:
    gc.collect()
    gc.freeze()  # what is loaded stays: to look through it again and again would block the event loop for 100 ms
    gc.set_threshold(*COLLECTIONS)
    faulthandler.disable()  # what it prints is no JSON
    sys.setswitchinterval(SWITCH_INTERVAL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # an image of our memory would hold keys
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(service: Service, settings: object) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await service.run(settings, stop)


if __name__ == "__main__":
    sys.exit(main())
