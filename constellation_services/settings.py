# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The settings of a service are its command line: a frozen dataclass says it all.

    @dataclass(frozen=True, slots=True)
    class Settings:
        variant: Variant
        port: Port = 9090

becomes `--variant VARIANT`, which must be given, and `--port PORT`. What `--help` says of them is what the docstring
says of the attributes. The types that options can have are those of `_READERS`, each of them also with `| None`.
"""

from __future__ import annotations

import inspect
import math
import re
from argparse import SUPPRESS, ArgumentTypeError
from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from attestation.variant import Variant

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Mapping
    from dataclasses import Field

Port: TypeAlias = int
"""A TCP port; 0 is any that is free."""
Count: TypeAlias = int
"""A whole number above zero."""

_Settings = TypeVar("_Settings")

_MAX_PORT: Final = 65535
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def add_options(parser: ArgumentParser, settings: type[Any]) -> None:
    """Give a parser one option for each field of a settings class."""
    texts = dict(_ATTRIBUTE.findall(inspect.cleandoc(settings.__doc__ or "")))
    for field in fields(settings):
        default = _default(field)
        text = " ".join(texts[field.name].split()).replace("%", "%%")
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_READERS[str(field.type).removesuffix(" | None")],
            default=default,
            required=default is SUPPRESS,
            metavar=field.name.rpartition("_")[2].upper(),
            help=text if default in {SUPPRESS, None, ""} else f"{text} (default: {_shown(default)})",
        )


def read_settings(settings: type[_Settings], options: Namespace) -> _Settings:
    """Make settings out of parsed options."""
    return settings(**{name: getattr(options, name) for name in inspect.signature(settings).parameters})


def _default(field: Field[Any]) -> Any:  # noqa: ANN401 - whatever the field holds
    if field.default_factory is not MISSING:
        return field.default_factory()
    return SUPPRESS if field.default is MISSING else field.default


def _shown(default: object) -> str:
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g}"
    return (",".join(default) if isinstance(default, tuple) else str(default)).replace("%", "%%")


def _variant(text: str) -> Variant:
    try:
        return Variant(text)
    except ValueError:
        known = ", ".join(variant.value for variant in Variant)
        raise ArgumentTypeError(f"{text!r} is no variant; known: {known}") from None


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _count(text: str) -> Count:
    number = _whole_number(text)
    if not number:
        raise ArgumentTypeError("expected a number above zero")
    return number


def _port(text: str) -> Port:
    number = _whole_number(text)
    if number > _MAX_PORT:
        raise ArgumentTypeError(f"{text} is no TCP port: expected 0 to {_MAX_PORT}")
    return number


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"{text!r} is no number above zero")
    return number


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=_number(text))


def _texts(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


_READERS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "str": str,
        "Path": Path,
        "Variant": _variant,
        "Port": _port,
        "Count": _count,
        "int": _whole_number,
        "float": _number,
        "timedelta": _seconds,
        "tuple[str, ...]": _texts,
    }
)
"""Type of a field, as it is written → what reads its option."""
