# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Plain data out of JSON or YAML that a stranger may have written.

YAML is read by its core schema (YAML 1.2, 10.3) without octal and fractional numbers: `off` and `yes` are words, dates
are text, and a digest that consists of digits is no number. Repeated keys, aliases and tags are refused: the first hide
a value, the second make a small file large, nobody needs the third.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attestation.errors import MalformedError
from attestation.strict_json import unique_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    import yaml

MAX_SIZE: Final = 1024 * 1024  # bytes
MAX_DEPTH: Final = 16

_KNOWN_KEY: Final = re.compile(
    r"^\s*(?:variant|version|measurements|sha(?:1|256|384|512)|1?\d|2[0-3])\s*:", re.MULTILINE
)


def looks_like_mapping(text: str) -> bool:
    """Whether it is worth reading as JSON, or as YAML with keys that we know."""
    return text.lstrip().startswith("{") or bool(_KNOWN_KEY.search(text))


def parse_mapping(data: bytes) -> dict[Any, Any]:
    """Read a mapping out of JSON or YAML. Keys of YAML may be numbers.

    Raises:
        MalformedError: it is neither, is too large or too deep, or repeats a key.
    """
    if len(data) > MAX_SIZE:
        raise MalformedError(f"{len(data)} bytes of JSON or YAML, at most {MAX_SIZE} are read")
    try:
        text = data.decode("utf-8").lstrip()
    except UnicodeDecodeError:
        raise MalformedError("neither JSON nor YAML: the bytes are no text") from None
    record = _parse_json(text) if text.startswith("{") else _parse_yaml(text)
    if not isinstance(record, dict):
        raise MalformedError("neither JSON nor YAML with names and values")
    return record


def _parse_json(text: str) -> object:
    try:
        record: object = json.loads(text, object_pairs_hook=unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {error}", hint="is the file complete?") from None
    return record


def _no_constant(name: str) -> float:
    message = f"{name} is not a value"
    raise ValueError(message)


def _parse_yaml(text: str) -> object:
    import yaml

    try:
        _check_events(yaml.parse(text, Loader=_loader()))
        record: object = yaml.load(text, Loader=_loader())  # noqa: S506 - a safe loader, made stricter
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise MalformedError(f"not YAML: {error.problem}{where}", hint="is the file complete?") from None
    except (yaml.YAMLError, ValueError) as error:
        raise MalformedError(f"not YAML: {error}") from None
    return record


def _check_events(events: Iterable[yaml.Event]) -> None:
    import yaml

    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise MalformedError(f"YAML is nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise MalformedError("YAML with an alias or a tag")


@cache
def _loader() -> type[yaml.SafeLoader]:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where it was built

    class StrictLoader(base):  # type: ignore[misc]
        """Core schema, no repeated keys."""

        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            construct = self.construct_object
            pairs = [(construct(key, deep=True), construct(value, deep=deep)) for key, value in node.value]
            if unusable := [key for key, _ in pairs if not isinstance(key, str | int)]:
                message = f"{unusable[0]!r} is not a name"
                raise ValueError(message)
            return unique_keys(pairs)

    for tag, pattern, first in (
        ("bool", r"true|false", "tf"),
        ("int", r"0|-?[1-9][0-9]{0,17}", "-0123456789"),
        ("null", r"null|~|", ["n", "~", ""]),
    ):
        StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), list(first))
    return StrictLoader
