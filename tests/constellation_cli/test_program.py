# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The program as a whole: help, versions, exit statuses, and what becomes of errors."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from constellation_cli import __version__
from constellation_cli.main import DEBUG_VARIABLE, app

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

HEAVY = {"cryptography", "rich", "yaml"}
ZEROS = "00" * 32


def test_the_module_is_the_program() -> None:
    command = [sys.executable, "-m", "constellation_cli", "--version"]
    assert (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"constellation {__version__}\n"
    )


@pytest.mark.parametrize("words", [["--help"], ["evidence", "verify", "--help"], ["evidence", "collect", "-h"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    script = (
        "import sys; from constellation_cli.main import app\n"
        f"try: app({words})\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(result.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        "",
        "evidence",
        "evidnce",
        "evidence inspect",
        "evidence inspect --outptu json file",
        "evidence inspect -o xml file",
        "evidence verify file",
        "evidence verify --policy p --at yesterday file",
        "evidence verify --policy p --at 2026-01-31T12:00:00 file",
        "evidence verify --policy p --binding 00 file",
        "evidence verify --policy p --variant qemu file",
        "evidence collect --timeout 0",
    ],
)
def test_a_wrong_command_line_is_status_64_and_told_where_help_is(
    constellation: Callable[..., Result], words: str
) -> None:
    result = constellation(*words.split())
    assert (result.exit_code, result.stdout) == (64, "")
    assert "--help" in result.stderr


@pytest.mark.parametrize(
    "words, reason",
    [
        (f"--nonce {ZEROS}", "--nonce needs --cluster-id"),
        (f"--nonce {ZEROS} --cluster-id {ZEROS} --binding {ZEROS}", "--binding and --nonce exclude each other"),
        (f"--mark any --cluster-id {ZEROS}", "--mark and --cluster-id exclude each other"),
    ],
)
def test_options_that_contradict_each_other_are_status_64(
    constellation: Callable[..., Result], words: str, reason: str
) -> None:
    result = constellation("evidence", "verify", "--policy", "p", *words.split(), "file")
    assert result.exit_code == 64
    assert reason in result.stderr


def test_an_error_is_a_sentence_and_a_hint(constellation: Callable[..., Result]) -> None:
    result = constellation("evidence", "inspect", "/nowhere/report.bin")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: /nowhere/report.bin cannot be read: No such file or directory\n"
        "hint: is the name spelt right, and relative to this directory?\n"
    )


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_words: object, **_options: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(json, "dumps", fail)


@pytest.mark.usefixtures("bug")
def test_a_bug_shows_no_traceback(constellation: Callable[..., Result]) -> None:
    result = constellation("policy", "schema")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: this should not happen: ZeroDivisionError: a bug\n")
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("bug")
def test_a_bug_shows_a_traceback_to_who_asks(
    constellation: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    assert "Traceback" in constellation("policy", "schema").stderr


def test_a_closed_pipe_is_no_error_worth_a_word() -> None:
    command = f"{sys.executable} -m constellation_cli policy schema | head -c 10"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert result.stderr == ""


def test_every_command_has_examples_that_begin_with_the_command() -> None:
    commands = [(f"constellation {command.name}", command.epilog or "") for command in app.registered_commands]
    commands += [
        (f"constellation {group.name} {command.name}", command.epilog or "")
        for group in app.registered_groups
        if group.typer_instance is not None
        for command in group.typer_instance.registered_commands
    ]
    assert len(commands) == 46
    assert [name for name, epilog in commands if name not in epilog] == []
