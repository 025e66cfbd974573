# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of a service is its settings."""

from __future__ import annotations

import importlib
import math
import re
from argparse import ArgumentParser
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.variant import Variant
from constellation_services.main import SERVICES
from constellation_services.settings import add_options, read_settings

if TYPE_CHECKING:
    from constellation_services.settings import Count, Port


@dataclass(frozen=True, slots=True)
class Settings:
    """What a test is started with.

    Attributes:
        variant: platform
            of this node, 100%.
        name: of nobody.
        folder: for files.
        log: a file; may be missing.
        port: to listen on.
        places: for guests.
        turn: how long.
        rate: per second.
        lifetime: of things.
        names: of things.
    """

    variant: Variant
    name: str = ""
    folder: Path = Path("/somewhere")
    log: Path | None = None
    port: Port = 9000
    places: Count = 3
    turn: int = 0
    rate: float = 0.5
    lifetime: timedelta = timedelta(hours=1)
    names: tuple[str, ...] = ("a", "b")


def read(*words: str) -> Settings:
    parser = ArgumentParser(exit_on_error=False)
    add_options(parser, Settings)
    return read_settings(Settings, parser.parse_args(["--variant", "qemu-vtpm", *words]))


def test_what_is_not_given_has_its_default() -> None:
    assert read() == Settings(Variant.QEMU_VTPM)


@pytest.mark.parametrize(
    "words, field, value",
    [
        (["--variant=qemu-snp"], "variant", Variant.QEMU_SNP),
        (["--folder", "/tmp/x"], "folder", Path("/tmp/x")),
        (["--log", "file"], "log", Path("file")),
        (["--port", "0"], "port", 0),
        (["--places", "7"], "places", 7),
        (["--turn", "0"], "turn", 0),
        (["--rate", "2.5"], "rate", 2.5),
        (["--lifetime", "90"], "lifetime", timedelta(seconds=90)),
        (["--names", "x,y"], "names", ("x", "y")),
    ],
)
def test_each_type_has_its_form(words: list[str], field: str, value: object) -> None:
    assert getattr(read(*words), field) == value


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--variant", "qemu"], "'qemu' is no variant; known: qemu-vtpm"),
        (["--port", "65536"], "65536 is no TCP port: expected 0 to 65535"),
        (["--port", "-1"], "expected one argument|no whole number"),
        (["--port", "٣"], "no whole number"),
        (["--places", "0"], "expected a number above zero"),
        (["--rate", "0"], "'0' is no number above zero"),
        (["--rate", "nan"], "'nan' is no number above zero"),
        (["--rate", "inf"], "'inf' is no number above zero"),
        (["--lifetime", "soon"], "'soon' is no number above zero"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((Exception, SystemExit)) as caught:
        read(*words)
    assert re.search(expected, f"{caught.value}{capsys.readouterr().err}")


@given(st.text(max_size=12))
def test_any_number_is_read_or_refused(text: str) -> None:
    parser = ArgumentParser(exit_on_error=False)
    add_options(parser, Settings)
    try:
        options = parser.parse_args(["--variant=insecure", f"--rate={text}", "--places=1"])
    except Exception:  # noqa: BLE001 - refused, however argparse says so
        return
    assert 0 < options.rate < math.inf


def test_help_is_the_docstring() -> None:
    parser = ArgumentParser()
    add_options(parser, Settings)
    text = " ".join(parser.format_help().split())
    assert "--variant VARIANT platform of this node, 100%." in text
    assert "--lifetime LIFETIME of things. (default: 3600)" in text
    assert "--names NAMES of things. (default: a,b)" in text
    assert "--log LOG a file; may be missing. --port" in text


@pytest.mark.parametrize("name", SERVICES)
def test_every_setting_of_every_service_is_an_option_with_a_text(name: str) -> None:
    settings: type[Any] = importlib.import_module(f"constellation_services.{name}.service").Settings
    parser = ArgumentParser()
    add_options(parser, settings)
    options = {action.dest: action.help for action in parser._actions if action.dest != "help"}
    assert set(options) == {field.name for field in fields(settings)}
    assert all(options.values())
