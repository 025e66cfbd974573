# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation-services` as a process: it starts, says what is wrong in one line, and drains when it is told to."""

from __future__ import annotations

import http.client
import json
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_core.conditions import Condition, wait_for
from constellation_services.main import PROGRAM, SERVICES, main

if TYPE_CHECKING:
    from collections.abc import Iterator

INSECURE = ("verify", "--variant", "insecure", "--host", "127.0.0.1", "--http-port", "0", "--port", "0")


@contextmanager
def service(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "constellation_services.main", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_ready(port: int) -> None:
    def check() -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            return None if response.status == 200 else response.read().decode()
        finally:
            connection.close()

    wait_for([Condition("the service is ready", check, (OSError,))], timeout=30)


@pytest.fixture
def cluster_id(tmp_path: Path) -> str:
    (tmp_path / "cluster-id").write_text("ab" * 32)
    return str(tmp_path / "cluster-id")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number: signal.Signals, unused_tcp_port: int, cluster_id: str) -> None:
    with service(*INSECURE, "--status-port", str(unused_tcp_port), "--cluster-id", cluster_id) as process:
        wait_until_ready(unused_tcp_port)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "")


def test_it_may_have_as_many_files_as_it_can(unused_tcp_port: int, cluster_id: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with service(*INSECURE, "--status-port", str(unused_tcp_port), "--cluster-id", cluster_id) as process:
        wait_until_ready(unused_tcp_port)
        limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")
    rows = {row[:26].strip(): row[26:].split()[:2] for row in limits.splitlines()}
    assert rows["Max open files"] == [str(most)] * 2
    assert rows["Max core file size"] == ["0", "0"]


def test_a_port_that_is_taken_is_one_line_with_a_reason(unused_tcp_port: int, cluster_id: str) -> None:
    words = (*INSECURE, "--status-port", str(unused_tcp_port), "--cluster-id", cluster_id)
    with service(*words) as first:
        wait_until_ready(unused_tcp_port)
        with service(*words) as second:
            _, stderr = second.communicate(timeout=30)
        assert first.poll() is None
    line = json.loads(stderr)
    assert second.returncode == 1
    assert (line["level"], "address already in use" in line["message"]) == ("CRITICAL", True)
    assert str(unused_tcp_port) in line["message"]


def test_a_manifest_that_cannot_be_used_ends_it_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "measurements.json").write_text("{}")
    with service(*INSECURE, "--status-port", "0", "--manifest", str(tmp_path)) as process:
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "nobody believes a manifest without a signature" in json.loads(stderr)["message"]


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], "required: SERVICE"),
        (["dance"], "invalid choice: 'dance'"),
        (["verify"], "required: --variant"),
        (["verify", "--variant", "qemu"], "no variant; known: qemu-vtpm"),
        (["verify", "--variant", "insecure", "--prot", "1"], "unrecognized arguments"),
        (["verify", "--variant", "insecure", "--log-level", "loud"], "--log-level"),
    ],
)
def test_a_wrong_command_line_is_told_and_is_64(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 64
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], *([name] for name in SERVICES)])
def test_help_is_there(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    assert f"usage: {' '.join([PROGRAM, *words])}" in capsys.readouterr().out


def test_only_the_service_that_runs_is_imported() -> None:
    script = (
        "import sys; from constellation_services.main import main\n"
        "try: main(['verify', '--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('lightkube', 'grpc', 'kubernetes') if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert result.stderr.strip() == "[]"


@pytest.mark.usefixtures("own_logging")
def test_a_bug_is_one_line_and_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def fail(_settings: object, _stop: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("constellation_services.verify.service.run", fail)
    monkeypatch.setattr("constellation_services.main._prepare_process", lambda: None)
    assert main(["verify", "--variant", "insecure"]) == 1
    assert "ZeroDivisionError" in json.loads(capsys.readouterr().err)["traceback"]
