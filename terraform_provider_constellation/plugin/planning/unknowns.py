# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Unknown values in other values: where they are, and how to be rid of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.wire.types import Typed
from terraform_provider_constellation.plugin.wire.unknown import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from terraform_provider_constellation.plugin.wire.paths import Path
    from terraform_provider_constellation.plugin.wire.types import Value


def unknown_paths(value: Value, path: Path) -> Iterator[Path]:
    """Where something is unknown; keys and names look alike, this is for people."""
    match value:
        case Unknown():
            yield path
        case Typed():
            yield from unknown_paths(value.value, path)
        case dict():
            for name, item in value.items():
                yield from unknown_paths(item, path / name)
        case list():
            for index, item in enumerate(value):
                yield from unknown_paths(item, path / index)


def without_unknowns(value: Value) -> Value:
    """The same with null where something is unknown, as a state must be."""
    match value:
        case Unknown():
            return None
        case Typed():
            return Typed(value.type, without_unknowns(value.value))
        case dict():
            return {name: without_unknowns(item) for name, item in value.items()}
        case list():
            return [without_unknowns(item) for item in value]
    return value
