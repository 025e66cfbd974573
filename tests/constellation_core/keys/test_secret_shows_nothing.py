# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""No copy of a secret gets out by accident, whatever is done with it."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import reprlib
import traceback
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from constellation_core.keys.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = b"0123456789abcdef-not-for-others!"
LEAKS = (VALUE, VALUE.hex().encode(), repr(VALUE).encode()[2:-1])


@dataclasses.dataclass
class Record:
    secret: Secret


@pytest.fixture
def secret() -> Secret:
    return Secret(VALUE)


def assert_nothing_leaks(shown: str) -> None:
    assert [leak for leak in LEAKS if leak.decode() in shown] == []


WAYS_TO_SHOW: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "short repr": reprlib.repr,
    "pretty": pprint.pformat,
    "format": "{}".format,
    "aligned": "{:>40}".format,
    "converted": "{!r:>40}".format,
    "f-string": lambda secret: f"{secret} {secret!s} {secret!r} {secret:d}",
    "percent": lambda secret: "%s %r %a" % (secret, secret, secret),  # noqa: UP031 - as loggers do it
    "in containers": lambda secret: repr([secret, {"key": secret}, Record(secret), (secret,)]),
    "in an exception": lambda secret: str(ValueError("wrong", secret)) + repr(KeyError(secret)),
    "in JSON": lambda secret: json.dumps({"key": secret}, default=str),
    "dir": lambda secret: repr(dir(secret)),
}


@pytest.mark.parametrize("way", WAYS_TO_SHOW)
def test_shown_in_any_way_it_shows_nothing(secret: Secret, way: str) -> None:
    assert_nothing_leaks(WAYS_TO_SHOW[way](secret))


@pytest.mark.parametrize("template", ["%s", "%r", "%a", "%-50s"])
def test_a_log_shows_nothing(secret: Secret, caplog: pytest.LogCaptureFixture, template: str) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("test").warning(template, secret, extra={"key": secret})
    logging.getLogger("test").warning("%(key)s %(key)r", {"key": secret})
    assert_nothing_leaks(caplog.text + repr([vars(record) for record in caplog.records]))


def fail_with(secret: Secret) -> None:
    record = Record(secret)
    raise ValueError("wrong", record, secret)


def test_a_traceback_with_local_variables_shows_nothing(secret: Secret) -> None:
    with pytest.raises(ValueError, match="wrong") as caught:
        fail_with(secret)
    error = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(error.format())
    assert "<secret>" in shown
    assert_nothing_leaks(shown)


def test_a_colourful_traceback_with_local_variables_shows_nothing(secret: Secret) -> None:
    console = Console(file=io.StringIO(), width=200)
    try:
        fail_with(secret)
    except ValueError:
        console.print_exception(show_locals=True)
    assert isinstance(console.file, io.StringIO)
    assert "<secret>" in console.file.getvalue()
    assert_nothing_leaks(console.file.getvalue())


@pytest.mark.parametrize("value", ["a-text-that-is-secret", bytearray(b"a-text-that-is-secret")])
def test_the_traceback_of_what_is_no_secret_does_not_show_it(value: object) -> None:
    frames = [value]
    with pytest.raises(TypeError) as caught:
        Secret(frames.pop())  # type: ignore[arg-type]
    error = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    constructor = error.stack[-1]
    assert constructor.name == "__init__"
    assert "a-text-that-is-secret" not in repr(constructor.locals)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(secret: Secret, protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret, protocol)


WAYS_TO_COPY: dict[str, Callable[[Secret], object]] = {
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "deep copy of a container": lambda secret: copy.deepcopy([Record(secret)]),
    "asdict": lambda secret: dataclasses.asdict(Record(secret)),
    "astuple": lambda secret: dataclasses.astuple(Record(secret)),
    "reduce": lambda secret: secret.__reduce__(),
    "reduce of object": lambda secret: object.__reduce_ex__(secret, 2),
    "getstate": Secret.__getstate__,
}


@pytest.mark.parametrize("way", WAYS_TO_COPY)
def test_it_is_not_copied(secret: Secret, way: str) -> None:
    with pytest.raises(TypeError) as caught:
        WAYS_TO_COPY[way](secret)
    assert_nothing_leaks(str(caught.value))


@pytest.mark.parametrize("use", [json.dumps, bytes, len, iter, hash, vars, memoryview, int, float, list])
def test_it_is_not_taken_for_bytes(secret: Secret, use: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        use(secret)
    assert_nothing_leaks(str(caught.value))


def test_it_does_not_change(secret: Secret) -> None:
    for name in ("_value", "other"):
        with pytest.raises(AttributeError, match="does not change"):
            setattr(secret, name, b"x")
    with pytest.raises(AttributeError, match="does not change"):
        del secret._value
    assert secret.reveal() == VALUE


@pytest.mark.parametrize("value", [b"", "text", bytearray(b"x"), memoryview(b"x"), None, 7])
def test_it_is_made_of_bytes(value: object) -> None:
    with pytest.raises(TypeError, match="made of bytes"):
        Secret(value)  # type: ignore[arg-type]


def test_it_has_no_order(secret: Secret) -> None:
    with pytest.raises(TypeError):
        sorted([secret, Secret(b"x")])  # type: ignore[type-var]


def test_it_equals_a_secret_of_the_same_bytes_only(secret: Secret) -> None:
    assert secret == Secret(bytes(VALUE))
    assert secret != Secret(VALUE[:-1] + b"?")
    assert secret != VALUE


def test_a_random_one_is_new_each_time() -> None:
    assert len(Secret.random(32).reveal()) == 32
    assert Secret.random(32) != Secret.random(32)
