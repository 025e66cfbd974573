# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Plain data out of JSON or YAML that a stranger may have written: repeated keys, aliases and tags are refused."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from attestation.errors import MalformedError
from attestation.strict_json import unique_keys

MAX_SIZE: Final = 1024 * 1024  # bytes

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
    from constellation_core.strict_yaml import load_yaml

    if len(data) > MAX_SIZE:
        raise MalformedError(f"{len(data)} bytes of JSON or YAML, at most {MAX_SIZE} are read")
    try:
        text = data.decode("utf-8").lstrip()
    except UnicodeDecodeError:
        raise MalformedError("neither JSON nor YAML: the bytes are no text") from None
    record = _parse_json(text) if text.startswith("{") else load_yaml(text)
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
