# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of one mapping of a strict format: each has one type, none may be missing, and none may be misspelt."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Collection

SHOWN: Final = 80  # characters of a wrong value in a message


class Fields:
    """The fields of one mapping.

    Args:
        record: the mapping, as JSON or YAML gave it.
        what: its name in messages: "join-config".
        known: names of all fields that it may have.

    Raises:
        MalformedError: it is no mapping, or has an unknown field; with the closest known name.
    """

    def __init__(self, record: object, what: str, known: Collection[str]) -> None:
        if not isinstance(record, dict):
            raise MalformedError(f"{what}: expected a mapping with {', '.join(known)}, got {_shown(record)}")
        for name in record:
            if name not in known:
                raise MalformedError(f"{what} has the unknown field {_shown(name)}", hint=suggestion(name, known))
        self._record: dict[str, Any] = record
        self._what = what

    def __contains__(self, name: str) -> bool:
        """Whether a field is there."""
        return name in self._record

    def version(self, supported: int) -> None:
        """See that the field `version` is the one that we read."""
        if self._take("version") != supported or isinstance(self._take("version"), bool):
            raise self.wrong("version", str(supported), self._take("version"))

    def text(self, name: str, pattern: re.Pattern[str], expected: str) -> str:
        """Give a text that matches a pattern as a whole.

        Args:
            name: of the field.
            pattern: what it must match.
            expected: the pattern in words: "host:port".
        """
        value = self._take(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.wrong(name, expected, value)
        return value

    def any_text(self, name: str) -> str:
        """Give a text; one that is not there is empty."""
        value = self._record.get(name, "")
        if not isinstance(value, str):
            raise self.wrong(name, "a text", value)
        return value

    def hexadecimal(self, name: str, size: int) -> bytes:
        """Give bytes that are written as lower-case hexadecimal digits."""
        return bytes.fromhex(self.text(name, re.compile(rf"[0-9a-f]{{{2 * size}}}"), f"{2 * size} digits 0-9, a-f"))

    def whole_number(self, name: str, allowed: range, default: int) -> int:
        """Give a whole number out of a range."""
        value = self._record.get(name, default)
        if type(value) is not int or value not in allowed:
            raise self.wrong(name, f"a number from {allowed[0]} to {allowed[-1]}", value)
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Give a truth value."""
        value = self._record.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false", value)
        return value

    def entries(self, name: str, limit: range) -> list[Any]:
        """Give a list whose length is in a range; a list that is not there is empty."""
        value = self._record.get(name, [])
        if not isinstance(value, list) or len(value) not in limit:
            raise self.wrong(name, f"a list with {limit[0]} to {limit[-1]} entries", value)
        return value

    def mapping(self, name: str) -> dict[Any, Any]:
        """Give a mapping; one that is not there is empty."""
        value = self._record.get(name, {})
        if not isinstance(value, dict):
            raise self.wrong(name, "a mapping", value)
        return value

    def wrong(self, name: str, expected: str, got: object) -> MalformedError:
        """Make the error for a field that is not what it must be."""
        return MalformedError(f"{self._what}: {name}: expected {expected}, got {_shown(got)}")

    def _take(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON or YAML gives
        if name not in self._record:
            raise MalformedError(f"{self._what} lacks {name}")
        return self._record[name]


def suggestion(name: object, known: Collection[str]) -> str:
    """Say which known name is meant, or which names there are."""
    close = difflib.get_close_matches(str(name)[:SHOWN], known, 1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"


def _shown(value: object) -> str:
    return f"{value!r:.{SHOWN}}"
