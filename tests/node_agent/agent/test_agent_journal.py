# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a node says: journal, console, service manager, status on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from node_agent.console import Console, View
from node_agent.phases import Entry, Journal, Phase
from node_agent.reporter import Reporter
from node_agent.status import StatusServer
from node_agent.systemd import ServiceManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "notify"))
        opened.setblocking(False)
        yield opened


def environment(listener: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": listener.getsockname(), **more}


@pytest.fixture
def reporter(tmp_path: Path, listener: socket.socket) -> Iterator[Reporter]:
    (tmp_path / "console").touch()
    with ServiceManager(environment(listener)) as manager:
        yield Reporter(Journal(tmp_path / "run"), Console(tmp_path / "console"), manager, View())


def heard(listener: socket.socket) -> list[str]:
    said = []
    while True:
        try:
            said.append(listener.recv(4096).decode())
        except BlockingIOError:
            return said


def entries(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "run" / "phases.jsonl").read_text().splitlines()]


def test_an_entry_is_one_line_of_json() -> None:
    line = Entry.now(Phase.WAITING, "a\nb").to_line()
    assert line.count(b"\n") == 1
    record = json.loads(line)
    assert (record["phase"], record["detail"]) == ("waiting", "a\nb")
    assert record["time"].endswith("Z")
    assert record["uptime"] > 0


def test_everything_is_told_everywhere(reporter: Reporter, tmp_path: Path, listener: socket.socket) -> None:
    reporter.enter(Phase.WAITING, "for init", hint="wait")
    reporter.note("a disk is ready")
    assert [(entry["phase"], entry["detail"]) for entry in entries(tmp_path)] == [
        ("waiting", "for init (wait)"),
        ("waiting", "a disk is ready"),
    ]
    screen = (tmp_path / "console").read_text()
    assert " phase        waiting: for init\n what to do   wait\n" in screen
    assert screen.endswith("] a disk is ready\n")
    assert heard(listener) == ["STATUS=waiting: for init", "READY=1"]


def test_what_was_said_last_is_not_said_again(reporter: Reporter, tmp_path: Path) -> None:
    for detail in ("one", "one", "two", "one"):
        reporter.note(detail)
    assert [entry["detail"] for entry in entries(tmp_path)] == ["one", "two", "one"]


def test_a_node_that_only_starts_is_not_ready(reporter: Reporter, listener: socket.socket) -> None:
    reporter.enter(Phase.STARTING)
    assert heard(listener) == ["STATUS=starting"]


def test_a_terminal_is_told_nothing_that_it_would_obey(reporter: Reporter, tmp_path: Path) -> None:
    reporter.know(node="evil\x1b[2J", role="worker")
    reporter.enter(Phase.FAILED, "\x1b]0;title\x07\r\n")
    reporter.note("\x1bc")
    screen = (tmp_path / "console").read_text()
    assert {letter for letter in screen if not letter.isprintable()} == {"\n"}


def test_a_console_that_is_missing_stops_nobody(tmp_path: Path) -> None:
    Console(tmp_path / "nothing").show(View(), 0.0)


def test_a_console_that_is_full_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    console = Console(tmp_path / "pipe")
    for _ in range(1000):
        console.show(View(), 0.0)
    os.close(reading)


def test_the_screen_fits_a_terminal() -> None:
    view = View(image="constellation 1.0.0", variant="qemu-vtpm", node="n", role="worker", registers={15: bytes(32)})
    lines = view.lines(12345.678)
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith(" 12345.678 s")


@pytest.mark.parametrize("name", ["@abstract", "path"])
def test_a_socket_may_be_abstract(tmp_path: Path, name: str) -> None:
    address = f"@constellation-{os.getpid()}" if name == "@abstract" else str(tmp_path / name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0"))
        listener.setblocking(False)
        with ServiceManager({"NOTIFY_SOCKET": address}) as manager:
            manager.status("one\ntwo")
            manager.stopping()
        assert heard(listener) == ["STATUS=one two", "STOPPING=1"]


def test_without_a_service_manager_nobody_is_told() -> None:
    with ServiceManager({}) as manager:
        manager.ready()


async def test_the_watchdog_is_fed(listener: socket.socket) -> None:
    with ServiceManager(environment(listener, WATCHDOG_USEC="30000", WATCHDOG_PID=str(os.getpid()))) as manager:
        feeding = asyncio.create_task(manager.keep_alive())
        said: list[str] = []
        async with asyncio.timeout(10):
            while len(said) < 3:
                said += heard(listener)
                await asyncio.sleep(0.001)
        feeding.cancel()
    assert set(said) == {"WATCHDOG=1"}


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
async def test_without_a_watchdog_nobody_is_fed(listener: socket.socket, more: dict[str, str]) -> None:
    with ServiceManager(environment(listener, **more)) as manager:
        await manager.keep_alive()
    assert heard(listener) == []


@asynccontextmanager
async def asked(reporter: Reporter, request: bytes) -> AsyncIterator[tuple[bytes, bytes]]:
    """Give head and body of an answer."""
    server = StatusServer(reporter, lambda: 2)
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.start(0))
    try:
        writer.write(request)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        yield head, body
    finally:
        writer.close()
        server.close()


async def test_status_says_what_the_node_does(reporter: Reporter) -> None:
    reporter.know(node="control-0", role="control-plane", image="constellation 1.0.0", variant="qemu-vtpm")
    reporter.enter(Phase.WAITING, "for init")
    async with asked(reporter, b"GET /status HTTP/1.1\r\n\r\n") as (head, body):
        assert head.startswith(b"HTTP/1.1 200 OK")
        record = json.loads(body)
    assert record["entered"].keys() == {"waiting"}
    del record["entered"]
    assert record == {
        "version": 1,
        "phase": "waiting",
        "reason": "for init",
        "hint": "",
        "node": "control-0",
        "role": "control-plane",
        "image": "constellation 1.0.0",
        "variant": "qemu-vtpm",
        "mesh_peers": 2,
    }


async def test_metrics_say_when_each_phase_began(reporter: Reporter) -> None:
    reporter.enter(Phase.WAITING)
    reporter.enter(Phase.SERVING)
    async with asked(reporter, b"GET /metrics HTTP/1.1\r\n\r\n") as (_, body):
        lines = body.decode().splitlines()
    assert 'constellation_node_phase{phase="serving"} 1' in lines
    assert 'constellation_node_phase{phase="waiting"} 0' in lines
    assert "constellation_node_mesh_peers 2" in lines
    assert any(line.startswith('constellation_node_phase_entered_seconds{phase="waiting"} ') for line in lines)


async def test_metrics_say_what_the_agent_costs(reporter: Reporter) -> None:
    async with asked(reporter, b"GET /metrics HTTP/1.1\r\n\r\n") as (_, body):
        values = dict(line.split() for line in body.decode().splitlines() if line.startswith("process_"))
    assert float(values["process_cpu_seconds_total"]) > 0
    assert int(values["process_resident_memory_bytes"]) > 1 << 20


@pytest.mark.parametrize("request_line", [b"POST /status HTTP/1.1", b"GET / HTTP/1.1", b"nonsense", b""])
async def test_other_questions_get_no_answer(reporter: Reporter, request_line: bytes) -> None:
    async with asked(reporter, request_line + b"\r\n\r\n") as (head, _):
        assert head.startswith(b"HTTP/1.1 404") or not head


async def test_a_long_question_gets_no_answer(reporter: Reporter) -> None:
    async with asked(reporter, b"x" * 10_000) as (head, _):
        assert not head
