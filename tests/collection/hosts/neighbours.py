# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A network for one host and one neighbour: two namespaces and a cable, which nobody else reaches."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK: Final = "192.0.2.0/24"  # for documentation (RFC 5737): nobody has it
HOST: Final = "192.0.2.10"
NEIGHBOUR: Final = "192.0.2.20"
INTERFACE: Final = "uplink"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The network.

    Attributes:
        name: of the neighbour's namespace.
        host_name: of the host's namespace.
    """

    name: str
    host_name: str

    @property
    def host_namespace(self) -> Path:
        """Where the host's namespace is."""
        return Path("/run/netns") / self.host_name

    def reaches(self, address: str, port: int, *, timeout: float = 1.0) -> bool:
        """Whether the neighbour can open a TCP connection."""
        program = f"import socket; socket.create_connection(({address!r}, {port}), {timeout}).close()"
        return self.runs("python3", "-c", program)

    def runs(self, *command: str) -> bool:
        """Run a program at the neighbour's, and say whether it succeeds."""
        inside = ["ip", "netns", "exec", self.name, *command]
        return subprocess.run(inside, check=False, capture_output=True, timeout=30).returncode == 0

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program at the neighbour's."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command])


@contextmanager
def wired() -> Iterator[Neighbour]:
    """Make the network.

    Raises:
        subprocess.CalledProcessError: this machine cannot.
    """
    number = os.getpid()
    pair = Neighbour(f"constellation-n{number}", f"constellation-h{number}")
    with ExitStack() as stack:
        for name in (pair.name, pair.host_name):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
            _ip("-n", name, "link", "set", "lo", "up")
        peer = ("peer", "name", INTERFACE, "netns", pair.host_name)
        _ip("-n", pair.name, "link", "add", INTERFACE, "type", "veth", *peer)
        for name, address in ((pair.name, NEIGHBOUR), (pair.host_name, HOST)):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", INTERFACE)
            _ip("-n", name, "link", "set", INTERFACE, "up")
        yield pair


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)
