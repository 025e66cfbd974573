# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One record, one line of JSON, whatever is in it."""

from __future__ import annotations

import io
import json
import logging
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.keys.secret import Secret
from constellation_services.logs import MAX_MESSAGE, JsonLines, Level, log_to

LOG = logging.getLogger("tests.json_logs")


@pytest.fixture
def stream(own_logging: None) -> io.StringIO:  # noqa: ARG001 - it has to be there
    """Where the whole process logs to, for one test."""
    stream = io.StringIO()
    log_to(stream, level=Level.INFO)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_a_line(stream: io.StringIO) -> None:
    LOG.info("said %s", "something", extra={"hint": "do that"})
    (line,) = lines(stream)
    assert datetime.now(UTC) - datetime.fromisoformat(line.pop("time")) < timedelta(minutes=1)
    assert line == {"level": "INFO", "logger": "tests.json_logs", "message": "said something", "hint": "do that"}


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    LOG.debug("detail")
    assert stream.getvalue() == ""


def test_nobody_can_pretend_to_be_another_record(stream: io.StringIO) -> None:
    LOG.warning("x\n{}", extra={"level": "DEBUG", "logger": "innocent"})
    (line,) = lines(stream)
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "tests.json_logs", "x\n{}")


def test_a_long_message_is_cut(stream: io.StringIO) -> None:
    LOG.warning("x" * 1_000_000)
    assert len(lines(stream)[0]["message"]) == MAX_MESSAGE


def test_a_secret_is_not_written(stream: io.StringIO) -> None:
    LOG.warning("%s", Secret(b"hunter2"), extra={"key": Secret(b"hunter2")})
    assert "hunter2" not in stream.getvalue()
    assert lines(stream)[0]["key"] == "<secret>"


def test_a_traceback_is_in_its_line(stream: io.StringIO) -> None:
    try:
        1 / 0  # noqa: B018 - for the traceback
    except ZeroDivisionError:
        LOG.exception("it failed")
    (line,) = lines(stream)
    assert "ZeroDivisionError" in line["traceback"]


def test_warnings_are_lines_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log_to(stream)
        warnings.warn("old", stacklevel=1)
    assert "UserWarning: old" in lines(stream)[0]["message"]


@given(st.text(), st.dictionaries(st.text().filter(str.isidentifier), st.binary() | st.text() | st.floats()))
def test_anything_gives_one_line_of_ascii(message: str, extra: dict[str, object]) -> None:
    record = logging.makeLogRecord({**extra, "msg": message, "name": "n", "levelname": "INFO", "args": None})
    record.exc_info = None
    line = JsonLines().format(record)
    assert line.isascii()
    assert "\n" not in line
    assert isinstance(json.loads(line), dict)
