# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of machines are found by their command line, and nobody else's is ever ended."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from constellation_engine.errors import MachineError
from constellation_engine.machines import processes
from constellation_engine.machines.processes import Marker, kill, running, wait_until_ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAITS = "import sys; print(flush=True); sys.stdin.read()"


@pytest.fixture
def marker(tmp_path: Path) -> Marker:
    return Marker("-pidfile", str(tmp_path / "qemu.pid"))


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that waits; it has these arguments on its command line."""
    command = [sys.executable, "-c", WAITS, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_is_found_by_its_arguments(marker: Marker) -> None:
    assert running(marker) == []
    with program("before", *marker, "after") as process:
        assert running(marker) == [process.pid]


@pytest.mark.parametrize("other", ["{1}", "{0}={1}", "{1} {0}", "{0} x{1}", "{0} {1}x", "{0} x {1}"])
def test_a_process_that_only_names_the_file_is_not(marker: Marker, other: str) -> None:
    with program(*other.format(*marker).split(" ")):
        assert running(marker) == []


def test_a_process_that_waits_to_be_buried_is_gone(marker: Marker) -> None:
    with program(*marker) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert running(marker) == []


def test_killing_ends_all_of_them(marker: Marker) -> None:
    with program(*marker) as one, program(*marker) as two:
        kill(marker)
        assert running(marker) == []
        assert {one.wait(), two.wait()} == {-9}


def test_killing_nobody_is_done_at_once(marker: Marker) -> None:
    kill(marker)


def test_others_are_left_alone(marker: Marker) -> None:
    with program(marker.value) as other:
        kill(marker)
        assert other.poll() is None


def test_a_number_that_was_given_away_meanwhile_is_not_killed(marker: Marker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and killing the process may end, and the kernel may give its number to somebody else."""
    with program("somebody", "else") as other:
        answers = iter([[other.pid], []])
        monkeypatch.setattr(processes, "running", lambda _: next(answers))
        kill(marker)
        assert other.poll() is None


def test_a_number_that_nobody_has_is_no_error(marker: Marker, monkeypatch: pytest.MonkeyPatch) -> None:
    with program() as gone:
        pass
    gone.wait()
    answers = iter([[gone.pid], []])
    monkeypatch.setattr(processes, "running", lambda _: next(answers))
    kill(marker)


def test_waiting_ends_when_the_process_does(marker: Marker) -> None:
    with program(*marker) as process:
        assert not wait_until_ended(marker, 0.01)
        process.kill()
        assert wait_until_ended(marker, 30)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_users_process_is_named(marker: Marker) -> None:
    command = [sys.executable, "-c", f"{SETUP}; kill(Marker(*sys.argv[1:]))", *marker]
    with program(*marker) as process:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert process.poll() is None
    assert f"process {process.pid} of the machine is another user's" in done.stderr


SETUP = "import os, sys; from constellation_engine.machines.processes import *; os.setuid(65534)"


def test_a_process_that_does_not_go_is_an_error(marker: Marker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "KILL_TIMEOUT", 0.0)
    monkeypatch.setattr(processes, "_send", lambda *_: None)
    with program(*marker), pytest.raises(MachineError, match="still runs"):
        kill(marker)
