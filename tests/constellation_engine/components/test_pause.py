# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Our pause: it stays, collects the children that nobody waits for, and ends when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from constellation_engine.components.build import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.components import Component
    from constellation_engine.components.watch import Watch

PATIENCE: Final = 20.0  # seconds
ADOPT: Final = 'cat "$1" >/dev/null & echo $!; exec "$2"'  # pause becomes the parent of a child that it did not start


@pytest.fixture
def program(pause: Component, tmp_path: Path, watch: Watch, go: str) -> Path:
    assert go
    build(pause.recipe, tmp_path / "pause", watch, "pause")
    return tmp_path / "pause"


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "queue")
    return tmp_path / "queue"


@pytest.fixture
def adopting(program: Path, queue: Path) -> Iterator[subprocess.Popen[str]]:
    """A pause with a child that ends as soon as somebody has written to the queue."""
    with subprocess.Popen(["bash", "-c", ADOPT, "-", queue, program], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def wait_until_gone(process: int) -> None:
    """Wait until a process is not even a zombie any more."""
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline, f"process {process} is still there"
        time.sleep(0.01)


def test_a_child_that_nobody_waits_for_is_collected(adopting: subprocess.Popen[str], queue: Path) -> None:
    assert adopting.stdout is not None
    child = int(adopting.stdout.readline())
    queue.write_bytes(b"")
    wait_until_gone(child)
    assert adopting.poll() is None


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(adopting: subprocess.Popen[str], queue: Path, order: signal.Signals) -> None:
    assert adopting.stdout is not None
    child = int(adopting.stdout.readline())
    queue.write_bytes(b"")
    wait_until_gone(child)  # now it listens
    adopting.send_signal(order)
    assert adopting.wait(PATIENCE) == 0


def test_it_needs_nothing_of_the_system(program: Path) -> None:
    assert b"/lib64/ld-linux" not in program.read_bytes()
    assert program.stat().st_size < 2 << 20
