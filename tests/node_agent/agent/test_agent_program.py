# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program: it starts as the unit starts it, says that it is ready, and ends when it is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from attestation.testing.swtpm import running_swtpm
from node_agent.testing.machine import FakeMachine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    made = FakeMachine(tmp_path / "machine")
    made.write_metadata()
    (made.folder / "run").mkdir()
    (made.folder / "console").touch()
    return made


@contextmanager
def running(machine: FakeMachine, tpm: str, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """Run the program, and listen as the service manager does."""
    folder = machine.folder
    options = {
        "image": machine.image,
        "esp": machine.esp,
        "config-drive": machine.drive,
        "run": folder / "run",
        "state": folder / "state",
        "state-disk": folder / "no-disk",
        "console": folder / "console",
        "tpm": tpm,
        "host": "127.0.0.1",
        "init-port": 0,
        "status-port": 0,
        "device-patience": 2,
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0constellation-agent-{os.getpid()}")
        listener.settimeout(30)
        arguments = [f"--{name}={value}" for name, value in options.items()]
        environment = os.environ | {"NOTIFY_SOCKET": f"@constellation-agent-{os.getpid()}"}
        process = subprocess.Popen([sys.executable, "-m", "node_agent", *arguments, *more], env=environment)
        try:
            yield process, listener
        finally:
            process.kill()
            process.wait()


def until(listener: socket.socket, said: str) -> list[str]:
    """Listen until something is said."""
    heard: list[str] = []
    while not any(line.startswith(said) for line in heard):
        heard.append(listener.recv(4096).decode())
    return heard


def test_it_is_ready_and_ends_when_told(machine: FakeMachine) -> None:
    with running_swtpm(machine.folder / "tpm", endorsed=False) as tpm, running(machine, tpm.address) as (process, said):
        assert "STATUS=starting: looking for the device that speaks for this machine" in until(said, "READY=1")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        until(said, "STOPPING=1")
    assert "stopping: was told to end" in (machine.folder / "console").read_text()


def test_without_a_device_it_says_why_and_stays(machine: FakeMachine) -> None:
    with running(machine, "tcp://127.0.0.1:1", "--device-patience=0.1") as (process, said):
        until(said, "STATUS=failed: cannot reach a TPM")
        assert process.poll() is None


def test_an_unknown_option_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "node_agent", "--shell"], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--shell" in done.stderr


def test_every_option_has_the_default_of_the_image() -> None:
    done = subprocess.run([sys.executable, "-m", "node_agent", "--help"], check=True, capture_output=True, text=True)
    assert "--state-disk" in done.stdout
