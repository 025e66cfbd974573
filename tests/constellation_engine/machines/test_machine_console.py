# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The serial console of a machine, and the protocol with which QEMU is asked."""

from __future__ import annotations

import os
import pty
import socket
import termios
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constellation_engine.errors import MachineError
from constellation_engine.machines.console import DETACH, attach
from constellation_engine.machines.local_socket import connect
from constellation_engine.machines.qmp import Qmp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from constellation_engine.machines import Machine

TIMEOUT = 30.0
GREETING = b'{"QMP": {}}\r\n'
EMPTY = b'{"return": {}}\r\n'


@contextmanager
def served(path: Path, talk: Callable[[socket.socket], None]) -> Iterator[None]:
    """Run the other end of a socket: talk to the first who comes."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(TIMEOUT)
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(TIMEOUT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def test_what_the_machine_writes_is_shown(path: Path) -> None:
    keyboard, keys = os.pipe()
    shown, screen = os.pipe()
    with served(path, lambda console: console.sendall(b"hello")):
        attach(path, keyboard=keyboard, screen=screen)
    assert os.read(shown, 100) == b"hello"
    for descriptor in (keyboard, keys, shown, screen):
        os.close(descriptor)


@pytest.mark.parametrize("typed", [b"ls\r", b"ls\r" + DETACH + b"rm\r"])
def test_what_is_typed_arrives_until_somebody_leaves(path: Path, typed: bytes) -> None:
    got: list[bytes] = []

    def listen(console: socket.socket) -> None:
        while data := console.recv(100):
            got.append(data)

    keyboard, keys = os.pipe()
    os.write(keys, typed)
    os.close(keys)
    with served(path, listen):
        attach(path, keyboard=keyboard, screen=keyboard)
    assert b"".join(got) == b"ls\r"
    os.close(keyboard)


def test_a_terminal_is_left_as_it_was(path: Path) -> None:
    ours, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    raw: list[bool] = []

    def look(console: socket.socket) -> None:
        console.sendall(b"x")
        os.read(ours, 1)
        raw.append(termios.tcgetattr(terminal)[3] & termios.ICANON == 0)
        os.write(ours, DETACH)
        console.recv(1)

    with served(path, look):
        attach(path, keyboard=terminal, screen=terminal)
    assert raw == [True]
    assert termios.tcgetattr(terminal) == before
    os.close(ours)
    os.close(terminal)


def test_a_machine_that_is_switched_off_has_no_console(machine: Machine) -> None:
    with pytest.raises(MachineError, match="expected a console") as caught:
        machine.open_console()
    assert "switched on" in caught.value.hint


def test_a_running_machine_has_one(machine: Machine) -> None:
    machine.start()
    keyboard, keys = os.pipe()
    os.close(keys)
    machine.attach(keyboard=keyboard, screen=keyboard)
    os.close(keyboard)


def test_connecting_leaves_nothing_open_when_nobody_listens(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - their number is all
    with pytest.raises(FileNotFoundError):
        connect(path, timeout=1)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - the same


def test_qemu_answers(machine: Machine) -> None:
    machine.start()
    with Qmp.connect(machine.layout.qmp_socket) as qmp:
        assert qmp.execute("query-status")["status"] == "running"
        with pytest.raises(MachineError, match="QEMU refuses make-coffee"):
            qmp.execute("make-coffee")
        assert qmp.execute("query-status")["running"] is True


def test_nobody_answers_where_nothing_runs(path: Path) -> None:
    with pytest.raises(MachineError, match="does not answer"), Qmp.connect(path):
        pass


def test_events_between_answers_are_passed_over(path: Path) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(GREETING + b'{"event": "RESUME"}\n' + EMPTY)
        connection.recv(100)

    with served(path, talk), Qmp.connect(path):
        pass


def test_silence_has_an_end(path: Path) -> None:
    def wait(connection: socket.socket) -> None:
        connection.recv(1)

    with served(path, wait), pytest.raises(MachineError, match="QEMU is gone"), Qmp.connect(path, timeout=0.05):
        pass


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=60) | st.sampled_from([b"[]\n", b"1\n", b"{}\n", GREETING + b'{"error": {}}\n']))
def test_whatever_qemu_says_is_an_answer_or_an_error(path: Path, said: bytes) -> None:
    path.unlink(missing_ok=True)
    talk = served(path, lambda connection: connection.sendall(said))
    with talk, pytest.raises(MachineError), Qmp.connect(path, timeout=5):
        pass
