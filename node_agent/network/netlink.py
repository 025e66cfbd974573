# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The sockets of `pyroute2` that we use, and nothing else of it.

The package imports all of itself at once: 10 MiB and 1.3 s, ten times that in an emulated machine. The parts that we
need take 4 MiB and half the time. So we have Python find the package and not run it, and import the parts.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PACKAGE: Final = "pyroute2"


@asynccontextmanager
async def route_socket() -> AsyncIterator[Any]:
    """Give a socket for links, addresses and routes: `pyroute2.AsyncIPRoute`."""
    async with _part("iproute.linux").AsyncIPRoute() as netlink:
        yield netlink


@asynccontextmanager
async def wireguard_socket() -> AsyncIterator[Any]:
    """Give a socket for WireGuard: `pyroute2.AsyncWireGuard`."""
    async with _part("netlink.generic.wireguard").AsyncWireGuard() as netlink:
        await netlink.setup_endpoint()  # asks the kernel for WireGuard's number
        yield netlink


def netlink_error() -> Any:  # noqa: ANN401 - it has no types
    """Give the class of what the kernel's refusals are raised as; its `code` is one of `errno`."""
    return _part("netlink.exceptions").NetlinkError


def _part(name: str) -> Any:  # noqa: ANN401 - it has no types
    if _PACKAGE not in sys.modules and (spec := find_spec(_PACKAGE)) is not None:
        sys.modules[_PACKAGE] = module_from_spec(spec)
        import_module(f"{_PACKAGE}.iproute")  # its parts import one another, and must begin here
    return import_module(f"{_PACKAGE}.{name}")
