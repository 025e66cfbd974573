# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A description that judges itself when it is made, and writes itself for Terraform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from cdktf_constellation.errors import InvalidDescriptionError
from cdktf_constellation.model.expectations import EXPECTATION, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A description. Its fields are attributes of Terraform, where their metadata says what they must be.

    Raises:
        InvalidDescriptionError: values of it are not what they must be; names all of them.
    """

    def __post_init__(self) -> None:
        """Judge it."""
        found = [*self.wrong_values()]
        if not found:  # what several values must be together is asked where each is right
            found = [*self.problems()]
        if found:
            raise InvalidDescriptionError(self.title, found)

    @property
    def title(self) -> str:
        """What messages call it."""
        return type(self).__name__

    def problems(self) -> Iterable[Problem]:
        """Judge what several values must be together."""
        return ()

    def wrong_values(self) -> Iterator[Problem]:
        """Judge each value by itself."""
        for field in fields(self):
            value, expectation = getattr(self, field.name), field.metadata.get(EXPECTATION)
            if expectation and (value is not None or field.default is MISSING):
                yield from expectation.problems(field.name, value)

    def to_terraform(self) -> dict[str, Any]:
        """Give it as plain data: what nobody gave is left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if EXPECTATION in field.metadata}
        return {name: plain(value) for name, value in values.items() if value is not None}


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a description has
    """Give a value as JSON has it."""
    if isinstance(value, Record):
        return value.to_terraform()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, PurePath | str) else value


def to_json(value: Any) -> str:  # noqa: ANN401 - as above
    """Write plain data, the same every time."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
