# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""JSON that means one thing to every reader: one object, no repeated keys, no NaN, bounded in size and depth.

RFC 8259 leaves repeated keys open, and readers differ; what one of them skips and another obeys is a hole.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from attestation.errors import MalformedError

MAX_STRINGS: Final = 8192  # a policy with every list full has fewer


def load_object(data: bytes, what: str, *, max_size: int, max_brackets: int, encoding: str = "utf-8") -> dict[str, Any]:
    """Read one JSON object.

    Args:
        data: its bytes.
        what: name of the structure, for messages ("evidence").
        max_size: most bytes that are read.
        max_brackets: most opening brackets and braces; bounds the depth before the recursive parser sees anything.
        encoding: "ascii" where the format has no other characters.

    Raises:
        MalformedError: it is something else.
    """
    if len(data) > max_size:
        raise MalformedError(f"{what} has {len(data)} bytes of JSON, at most {max_size} are read")
    if data.count(b"[") + data.count(b"{") > max_brackets:
        raise MalformedError(f"{what} is nested too deep for its format")
    if data.count(b'"') > 2 * MAX_STRINGS:
        raise MalformedError(f"{what} has more than {MAX_STRINGS} strings")
    try:
        record = json.loads(data.decode(encoding), object_pairs_hook=unique_keys, parse_constant=_refuse_constant)
    except ValueError as error:
        raise MalformedError(f"{what} is not JSON: {error}", hint="is it the right file, and complete?") from None
    if not isinstance(record, dict):
        raise MalformedError(f"{what} is not a JSON object")
    return record


def unique_keys(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Make an object of its pairs.

    Raises:
        ValueError: a key appears twice.
    """
    record = {}
    for key, value in pairs:
        if key in record:
            message = f"key {key!r} appears twice"
            raise ValueError(message)
        record[key] = value
    return record


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not a value"
    raise ValueError(message)
