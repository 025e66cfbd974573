# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""When two values are the same to Terraform: sets have no order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.wire.types import Collection, CollectionKind, Object, Tuple, Type, Value

if TYPE_CHECKING:
    from collections.abc import Sequence


def equal(one: Value, other: Value, type_: Type) -> bool:  # noqa: PLR0911 - a table: one line for each type
    """Whether two values of a type are the same. Two unknowns are, if the same is known about them."""
    if one == other:
        return True
    match type_, one, other:
        case Collection(CollectionKind.MAP, element), dict(), dict():
            return one.keys() == other.keys() and all(equal(one[key], other[key], element) for key in one)
        case Object(attributes), dict(), dict():
            return all(equal(one.get(name), other.get(name), item) for name, item in attributes.items())
        case ((Collection() | Tuple()), list(), list()) if len(one) != len(other):
            return False
        case Collection(CollectionKind.SET, element), list(), list():
            return _same_elements(one, other, element)
        case Collection(_, element), list(), list():
            return all(equal(*pair, element) for pair in zip(one, other, strict=True))
        case Tuple(elements), list(), list():
            return all(equal(a, b, item) for a, b, item in zip(one, other, elements, strict=True))
    return False


def has_duplicates(values: Sequence[Value], type_: Type) -> bool:
    """Whether two of these values are the same."""
    return any(equal(value, earlier, type_) for index, value in enumerate(values) for earlier in values[:index])


def _same_elements(some: list[Value], others: list[Value], type_: Type) -> bool:
    rest = list(others)
    for value in some:
        index = next((index for index, other in enumerate(rest) if equal(value, other, type_)), None)
        if index is None:
            return False
        del rest[index]
    return True
