# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""YAML that means what it looks like, also when a stranger wrote it.

Read by the core schema (YAML 1.2, 10.3) without octal and fractional numbers: `off` and `yes` are words, dates are
text, and a digest that consists of digits is no number. Repeated keys, aliases and tags are refused: the first hide a
value, the second make a small file large, nobody needs the third.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

import yaml

from attestation.errors import MalformedError
from attestation.strict_json import unique_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SIZE: Final = 1024 * 1024  # bytes; as much as an object of Kubernetes may have
MAX_DEPTH: Final = 16

_ODD_LINE_BREAK: Final = re.compile("[\x85\u2028\u2029]")


def load_yaml(text: str, *, max_size: int = MAX_SIZE) -> object:
    """Read one YAML document.

    Args:
        text: the document.
        max_size: most bytes of it, in UTF-8, that are read.

    Returns:
        Plain data; keys of mappings are texts or whole numbers.

    Raises:
        MalformedError: it is none, is too large or too deep, repeats a key, or has an alias or a tag.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > max_size:
        raise MalformedError(f"{size} bytes of YAML, at most {max_size} are read")
    try:
        _check_events(yaml.parse(text, Loader=_StrictLoader))
        record: object = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a safe loader, made stricter
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise MalformedError(f"not YAML: {error.problem}{where}", hint="is the file complete?") from None
    except (yaml.YAMLError, ValueError) as error:
        raise MalformedError(f"not YAML: {error}") from None
    return record


def dump_yaml(record: object) -> str:
    """Write plain data so that `load_yaml` gives it back: keys in their order, long texts over several lines."""
    return yaml.dump(record, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _check_events(events: Iterable[yaml.Event]) -> None:
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise MalformedError(f"YAML is nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise MalformedError("YAML with an alias or a tag")


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where it was built


class _StrictLoader(_Base):  # type: ignore[misc]
    """Core schema, no repeated keys."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - theirs
        construct = self.construct_object
        pairs = [(construct(key, deep=True), construct(value, deep=deep)) for key, value in node.value]
        if unusable := [key for key, _ in pairs if not isinstance(key, str | int)]:
            message = f"{unusable[0]!r} is not a name"
            raise ValueError(message)
        return unique_keys(pairs)


class _Dumper(yaml.SafeDumper):
    """Without aliases, and with the words of older schemas in quotes, for whoever else reads the file."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _ODD_LINE_BREAK.search(text):
        style = '"'  # the only style in which PyYAML escapes them
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"0|-?[1-9][0-9]{0,17}", "-0123456789"),
    ("null", r"null|~|", ["n", "~", ""]),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))
