# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which cluster a command asks and as whom, and what it says when that cannot be done."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constellation_cli.errors import CommandError
from constellation_cli.kubeconfig import read_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typer.testing import Result

    from constellation_engine.testing.control_plane import ControlPlane


def kubeconfig(server: str = "https://127.0.0.1:1", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - plain data
    return {
        "current-context": "admin",
        "clusters": [{"name": "ours", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "secret-of-mine"}}],
        "contexts": [{"name": "admin", "context": {"cluster": "ours", "user": "me"}}],
        **more,
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no variable."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


@pytest.fixture
def write(home: Path) -> Callable[..., Path]:
    """Writes a kubeconfig."""

    def run(record: object, name: str = "admin.conf") -> Path:
        path = home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(record if isinstance(record, str) else json.dumps(record), encoding="utf-8")
        return path

    return run


class _NoApiServer(BaseHTTPRequestHandler):
    """A web server of somebody else."""

    def do_GET(self) -> None:
        status, _, body = self.server.answer.partition(" ")  # type: ignore[attr-defined]
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def web_server() -> Iterator[Callable[[str], str]]:
    """Starts servers that always answer the same, "status body", and says where."""
    with ExitStack() as running:

        def start(answer: str) -> str:
            server = running.enter_context(HTTPServer(("127.0.0.1", 0), _NoApiServer))
            server.answer = answer  # type: ignore[attr-defined]
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            running.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


def test_the_default_is_in_the_home(write: Callable[..., Path]) -> None:
    write(kubeconfig("https://home:6443"), ".kube/config")
    assert read_kubeconfig(None).cluster.server == "https://home:6443"


def test_the_variable_comes_before_the_home(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write(kubeconfig("https://home:6443"), ".kube/config")
    monkeypatch.setenv("KUBECONFIG", str(write(kubeconfig("https://variable:6443"))))
    assert read_kubeconfig(None).cluster.server == "https://variable:6443"


def test_what_is_named_comes_before_all(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write(kubeconfig("https://variable:6443"), "variable.conf")))
    assert read_kubeconfig(write(kubeconfig("https://named:6443"))).cluster.server == "https://named:6443"


def test_several_files_are_put_together(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one that says something holds, and files are looked for beside the kubeconfig that names them."""
    here = {"contexts": [{"name": "here", "context": {"cluster": "ours", "user": "file"}}], "current-context": "here"}
    users = [{"name": "file", "user": {"tokenFile": "token", "client-certificate": "../me.crt"}}]
    first = write(here, "a/first.conf")
    second = write(kubeconfig(users=users), "b/second.conf")
    third = write(kubeconfig("https://third:1", users=[]), "c/third.conf")
    monkeypatch.setenv("KUBECONFIG", f"{first}:/nowhere/at.all::{second}:{third}")
    chosen = read_kubeconfig(None)
    assert (chosen.context_name, chosen.cluster.server) == ("here", "https://127.0.0.1:1")
    assert chosen.user is not None
    assert chosen.user.token_file == str(second.parent / "token")
    assert Path(str(chosen.user.client_cert)).resolve() == second.parent.parent / "me.crt"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("variable", ["", "/nowhere/a:/nowhere/b"])
def test_there_may_be_none(
    constellation: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", variable)
    result = constellation("nodes", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: there is no kubeconfig: expected --kubeconfig, $KUBECONFIG or /")
    assert result.stderr.endswith("hint: name the administrator's kubeconfig: --kubeconfig FILE\n")


@pytest.mark.parametrize(
    "record, said",
    [
        ("{", "is no kubeconfig: not YAML"),
        ("[]", "is no kubeconfig: it is no mapping"),
        ({"current-context": "admin"}, "cannot be used: Context 'admin' not found"),
        (kubeconfig(**{"current-context": ""}), "cannot be used: No current context"),
        (kubeconfig(clusters=[]), "lacks 'ours'"),
        (kubeconfig(users=[{"user": {}}]), "lacks 'name'"),
        (kubeconfig(users=[{"name": "me", "user": "root"}]), "cannot be used: "),
        (kubeconfig(clusters=3), "cannot be used: "),
        (kubeconfig(contexts=[{"name": "admin", "context": {"cluster": "ours"}}]), "the current context names no user"),
        (kubeconfig("not an address"), "nothing shows that"),
        (
            kubeconfig(clusters=[{"name": "ours", "cluster": {"server": "https://x", "certificate-authority": "ca"}}]),
            "context admin of the kubeconfig cannot be used: ",
        ),
        (
            kubeconfig(users=[{"name": "me", "user": {"client-certificate-data": "?", "client-key-data": "?"}}]),
            "context admin of the kubeconfig cannot be used: ",
        ),
        (
            kubeconfig(users=[{"name": "me", "user": {"exec": {"apiVersion": "v0", "command": "true"}}}]),
            "no credentials for the API server at https://127.0.0.1:1: ",
        ),
    ],
)
def test_one_that_cannot_be_used(
    constellation: Callable[..., Result], write: Callable[..., Path], record: object, said: str
) -> None:
    result = constellation("nodes", "list", "--kubeconfig", write(record))
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "hint: " in result.stderr
    assert "this should not happen" not in result.stderr
    assert "secret-of-mine" not in result.stderr


WORDS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
ENTRY = st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "server", "user", "cluster", "token"), WORDS))
SECTION = WORDS | ENTRY | st.lists(st.fixed_dictionaries({"name": WORDS, "cluster": WORDS | ENTRY}), max_size=2)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(kubeconfig())), section=SECTION, length=st.integers(1, 500))
def test_whatever_a_file_says_it_is_used_or_refused(
    write: Callable[..., Path], name: str, section: object, length: int
) -> None:
    path = write(json.dumps({**kubeconfig(), name: section})[:length])
    with suppress(CommandError):
        read_kubeconfig(path)


def test_an_api_server_that_is_not_there(constellation: Callable[..., Result], write: Callable[..., Path]) -> None:
    result = constellation("nodes", "list", "--kubeconfig", write(kubeconfig()))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the API server does not answer: " in result.stderr
    assert result.stderr.endswith("hint: is the cluster up?\n")


def test_an_api_server_that_says_nothing(write: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}"
        words = ["nodes", "list", "--timeout", "1", "--kubeconfig", str(write(kubeconfig(server)))]
        command = [sys.executable, "-m", "constellation_cli", *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: gave up waiting for the API server at {server} after 1 s\nhint: wait longer: --timeout SECONDS\n"
    )


@pytest.mark.parametrize("answer", ["200 <html>", "200 {}", '200 {"items": [{}]}', "404 gone", "500 {"])
def test_what_answers_is_no_api_server(
    constellation: Callable[..., Result], write: Callable[..., Path], web_server: Callable[[str], str], answer: str
) -> None:
    server = web_server(answer)
    result = constellation("nodes", "list", "--kubeconfig", write(kubeconfig(server)))
    assert (result.exit_code, "this should not happen" in result.stderr) == (1, False)
    assert result.stderr.startswith(f"warning: nothing shows that {server} is the cluster's API server\n")
    assert "API server" in result.stderr.splitlines()[1]
    assert "hint: " in result.stderr


def test_an_api_server_of_somebody_else(
    constellation: Callable[..., Result], write: Callable[..., Path], clean_cluster: ControlPlane
) -> None:
    """It has a certificate, by an authority that the kubeconfig does not name."""
    result = constellation("nodes", "list", "--kubeconfig", write(kubeconfig(clean_cluster.url)))
    assert result.exit_code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in result.stderr


def test_a_token_that_is_nobodys(
    constellation: Callable[..., Result], write: Callable[..., Path], clean_cluster: ControlPlane
) -> None:
    cluster = {"server": clean_cluster.url, "certificate-authority": str(clean_cluster.ca_file)}
    result = constellation(
        "nodes", "list", "--kubeconfig", write(kubeconfig(clusters=[{"name": "ours", "cluster": cluster}]))
    )
    assert result.exit_code == 1
    assert result.stderr.endswith("hint: is the kubeconfig the one of this cluster?\n")


@pytest.mark.parametrize("words", [["--help"], ["nodes", "approve", "--help"]])
def test_help_needs_no_client_of_kubernetes(words: list[str]) -> None:
    script = (
        "import sys; from constellation_cli.main import app\n"
        f"try: app({words})\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"cryptography", "httpx2", "lightkube", "rich", "yaml"}.isdisjoint(result.stderr.split())
