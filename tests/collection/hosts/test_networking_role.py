# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Firewall and endpoint of a real host, tried from its neighbour."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.collection.hosts.neighbours import HOST, INTERFACE, NEIGHBOUR, NETWORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.collection.hosts.bed import Host
    from tests.collection.hosts.neighbours import Neighbour
    from tests.collection.playing import Player

ROLE: dict[str, Any] = {"ansible.builtin.include_role": {"name": "constellation.core.networking"}}
VIRTUAL = "192.0.2.100"
FIREWALL = {
    "networking_node_network": NETWORK,
    "networking_interface": INTERFACE,
    "networking_management": [f"{NEIGHBOUR}/32"],
    "networking_management_ports": [2222],
}
ENDPOINT = {
    **FIREWALL,
    "networking_control_planes": [{"name": "control-plane-0", "address": NEIGHBOUR}],
    "networking_virtual_address": VIRTUAL,
    "networking_balancers": [HOST],
    "networking_own_address": HOST,
}
pytestmark = pytest.mark.slow

SERVE = """
import http.server, ssl, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
server = http.server.ThreadingHTTPServer(("192.0.2.20", 6443), Ready)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(*sys.argv[1:])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture
def clean(hypervisor: Host) -> Iterator[Host]:
    """The host, which forgets what the role did."""
    yield hypervisor
    units = [f"constellation-{name}" for name in ("firewall", "load-balancer", "virtual-address")]
    hypervisor.run("systemctl", "disable", "--now", "--quiet", *units)
    hypervisor.run("sh", "-c", "rm -rf /etc/constellation /etc/systemd/system/constellation-*; systemctl daemon-reload")


def test_only_management_gets_in(play: Player, inventory: Path, clean: Host, neighbour: Neighbour) -> None:
    for port in (2222, 8080):
        clean.run("systemd-run", "--quiet", "python3", "-m", "http.server", str(port))
        clean.run("sh", "-c", f"until ss -ltn | grep -q :{port}; do :; done")
    assert neighbour.reaches(HOST, 8080)
    first = play([ROLE], inventory=inventory, variables=FIREWALL)
    assert first.status == 0, first.text
    assert neighbour.reaches(HOST, 2222)
    assert not neighbour.reaches(HOST, 8080)
    assert play([ROLE], inventory=inventory, variables=FIREWALL).changed == {"hypervisor-0": 0}
    clean.run("systemctl", "stop", "constellation-firewall")
    assert neighbour.reaches(HOST, 8080)


def test_the_virtual_address_leads_to_a_control_plane(
    play: Player, inventory: Path, clean: Host, neighbour: Neighbour, tmp_path: Path
) -> None:
    first = play([ROLE], inventory=inventory, variables=ENDPOINT)
    assert first.status == 0, first.text
    with served(neighbour, tmp_path):
        assert wait_until(lambda: answers(neighbour))
    assert not answers(neighbour)  # HAProxy alone serves nobody
    assert play([ROLE], inventory=inventory, variables=ENDPOINT).changed == {"hypervisor-0": 0}
    clean.run("systemctl", "kill", "--signal=KILL", "constellation-virtual-address")
    assert wait_until(lambda: f"{VIRTUAL}/24" in clean.run("ip", "address", "show", INTERFACE).stdout)


def test_where_a_service_does_not_start_files_are_what_they_were(play: Player, inventory: Path, clean: Host) -> None:
    path = "/etc/constellation/firewall.nft"
    assert play([ROLE], inventory=inventory, variables=FIREWALL).status == 0
    before = clean.read(path)
    wrong = {**FIREWALL, "networking_management": ["192.0.2.20/99"]}
    played = play([ROLE], inventory=inventory, variables=wrong)
    assert played.status == 2
    assert "The firewall does not run, and its files are what they were" in played.text
    assert clean.read(path) == before
    assert clean.run("nft", "list", "table", "inet", "constellation_hypervisor").returncode == 0


@contextmanager
def served(neighbour: Neighbour, folder: Path) -> Iterator[None]:
    """Serve at the neighbour's what an API server serves that is ready."""
    certificate, key = folder / "api.pem", folder / "api.key"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    keys = ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=api"]
    subprocess.run([*request, *keys], check=True, capture_output=True)
    process = neighbour.start(sys.executable, "-c", SERVE, str(certificate), str(key))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def answers(neighbour: Neighbour) -> bool:
    """Whether somebody who speaks TLS is behind the virtual address."""
    program = f"import ssl; ssl.get_server_certificate(({VIRTUAL!r}, 6443), timeout=2)"
    return neighbour.runs("python3", "-c", program)


def wait_until(condition: Callable[[], bool], timeout: float = 30) -> bool:
    """Wait for a condition; say whether it came."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
    return False
