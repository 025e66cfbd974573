# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A kubeconfig leads to a control plane that answers, and is left alone as long as it does."""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import yaml

from attestation.insecure import InsecureIssuer
from constellation_core.channel.server import AttestedServer
from constellation_engine.errors import BringUpError
from constellation_engine.local_cluster.first_node import reachable_from_here
from constellation_engine.local_cluster.way_to_api import lead
from constellation_engine.testing.programs import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def something_with_tls() -> Iterator[int]:
    """Serve in a thread; give the port."""
    ports: queue.Queue[int] = queue.Queue()
    over = threading.Event()

    async def serve() -> None:
        server = AttestedServer([], issuer=InsecureIssuer())
        await server.start("127.0.0.1", 0)
        ports.put(server.port)
        await asyncio.to_thread(over.wait)
        await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield ports.get(timeout=30)
    finally:
        over.set()
        thread.join()


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A kubeconfig whose API server is gone."""
    path = tmp_path / "kubeconfig"
    record = {"clusters": [{"name": "mini", "cluster": {"server": "https://10.213.0.1:6443"}}]}
    path.write_bytes(reachable_from_here(yaml.safe_dump(record).encode(), free_port()))
    return path


def server_of(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])


def test_it_leads_to_one_that_answers(kubeconfig: Path) -> None:
    with something_with_tls() as port:
        lead(kubeconfig, [free_port(), port])
        assert server_of(kubeconfig) == f"https://127.0.0.1:{port}"
    assert kubeconfig.stat().st_mode & 0o777 == 0o600


def test_one_that_answers_is_kept(kubeconfig: Path) -> None:
    with something_with_tls() as used, something_with_tls() as other:
        lead(kubeconfig, [used])
        before = kubeconfig.read_bytes()
        lead(kubeconfig, [other, used])
        assert kubeconfig.read_bytes() == before


def test_where_nobody_answers_nothing_changes(kubeconfig: Path) -> None:
    before = kubeconfig.read_bytes()
    lead(kubeconfig, [free_port(), free_port()])
    lead(kubeconfig, [])
    assert kubeconfig.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"clusters: 7"])
def test_what_is_no_kubeconfig_is_said(kubeconfig: Path, content: bytes) -> None:
    kubeconfig.write_bytes(content)
    with something_with_tls() as port, pytest.raises(BringUpError, match="no kubeconfig"):
        lead(kubeconfig, [port])
