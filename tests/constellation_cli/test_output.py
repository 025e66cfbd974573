# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What people see: on a terminal, in a pipe, and from strangers."""

from __future__ import annotations

import io
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import pytest

from constellation_cli.output import OutputFormat, Table, emit, name_value_rows
from constellation_cli.terminal import printable, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOSTILE = "name\x1b[2J\x07\u202e"


class Terminal(io.StringIO):
    """A stream at which a person looks."""

    def isatty(self) -> bool:
        return True


@contextmanager
def on_a_terminal() -> Iterator[Terminal]:
    """Put a terminal in place of stdout and stderr."""
    stream = Terminal()
    with redirect_stdout(stream), redirect_stderr(stream):
        yield stream


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def show(*rows: tuple[str, ...], columns: tuple[str, ...] = ()) -> None:
    emit(OutputFormat.TABLE, {}, lambda: [Table("title", rows, columns)])


def test_in_a_pipe_a_table_is_aligned_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    show(("a", "1", "x"), ("long name", "2", ""), columns=("name", "number", "text"))
    assert capsys.readouterr().out == "title\nname       number  text\na          1       x\nlong name  2\n"


def test_in_a_pipe_nothing_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    show(("digest", "ab" * 500))
    assert f"digest  {'ab' * 500}\n" in capsys.readouterr().out


def test_a_table_without_rows_is_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    show()
    assert capsys.readouterr().out == "title\n"


def test_on_a_terminal_there_is_colour_and_long_values_are_folded() -> None:
    with on_a_terminal() as terminal:
        show(("digest", "ab" * 100))
    lines = terminal.getvalue().splitlines()
    assert "\x1b[" in lines[0]
    assert len(lines) > 3


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with on_a_terminal() as terminal:
        show(("name", "value"), columns=("one", "two"))
        say("error", "text", colour="red")
    assert "\x1b[3" not in terminal.getvalue()
    assert "error: text\n" in terminal.getvalue()


def test_talk_has_colour_on_a_terminal() -> None:
    with on_a_terminal() as terminal:
        say("error", "text", colour="red")
    assert terminal.getvalue().endswith("error\x1b[0m: text\n")


@pytest.mark.parametrize(
    "write", [lambda: show((HOSTILE, HOSTILE)), lambda: say("error", HOSTILE)], ids=["data", "talk"]
)
def test_bytes_that_steer_a_terminal_are_escaped(write: Callable[[], None]) -> None:
    with on_a_terminal() as terminal:
        write()
    assert "\x1b[2J" not in terminal.getvalue()
    assert "\x07" not in terminal.getvalue()
    assert r"name\x1b[2J\x07\u202e" in terminal.getvalue()


def test_markup_in_data_is_text() -> None:
    with on_a_terminal() as terminal:
        show(("[bold]name[/bold]", "[/]"))
    assert "[bold]name[/bold]" in terminal.getvalue()


def test_printable_text_is_left_alone() -> None:
    assert printable("Größe: 5 µs …") == "Größe: 5 µs …"


def test_records_are_flattened_for_people() -> None:
    record = {"a": {"b": 1, "c": {}}, "d": [1, 2], "e": [], "f": None, "g": True, "h": [{"i": 1}], "j": ""}
    assert list(name_value_rows(record)) == [
        ("a.b", "1"),
        ("a.c", "none"),
        ("d", "1, 2"),
        ("e", "none"),
        ("f", "none"),
        ("g", "yes"),
        ("j", "none"),
    ]
