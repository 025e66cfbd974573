# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting: people are told for what, and it ends."""

from __future__ import annotations

import signal
import threading
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, cast

import pytest

from constellation_cli.errors import CommandError
from constellation_cli.progress import time_limit, waiting_for

if TYPE_CHECKING:
    from typing import TextIO


class Listener:
    """A stream that says when something was written."""

    def __init__(self, *, terminal: bool) -> None:
        self.text = ""
        self.written = threading.Event()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        self.text += text
        if "waiting" in self.text:
            self.written.set()
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


@pytest.fixture(params=[False, True], ids=["pipe", "terminal"])
def listener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Listener:
    """A stderr that a person may look at."""
    monkeypatch.setenv("TERM", "xterm")
    return Listener(terminal=request.param)


def test_what_takes_long_is_named(listener: Listener) -> None:
    with redirect_stderr(cast("TextIO", listener)), waiting_for("a quote", patience=0.01):
        assert listener.written.wait(10)
    assert "for a quote" in listener.text


def test_what_is_quick_is_not(listener: Listener) -> None:
    with redirect_stderr(cast("TextIO", listener)), waiting_for("a quote", patience=60):
        pass
    assert listener.text == ""


def test_a_wait_has_an_end() -> None:
    sentence = "gave up waiting for a quote after 0.05 s"
    with pytest.raises(CommandError, match=sentence) as caught, time_limit(0.05, "a quote"):
        threading.Event().wait()
    assert "--timeout" in caught.value.hint


def test_afterwards_the_alarm_is_as_before() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(60, "nothing"):
        assert signal.getsignal(signal.SIGALRM) is not before
    assert signal.getsignal(signal.SIGALRM) is before
