# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of values that hold others: lists, sets, maps, tuples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from terraform_provider_constellation.plugin.schema.kinds import Kind, Misfit, dump, load, misfits
from terraform_provider_constellation.plugin.wire.paths import Key, Path
from terraform_provider_constellation.plugin.wire.types import Collection, CollectionKind, Tuple, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")


class SetOf(list[T], Generic[T]):
    """A set of Terraform: a list whose order says nothing. Its elements need not be hashable: most are objects."""

    __slots__ = ()
    __hash__ = None

    def __eq__(self, other: object) -> bool:
        """Whether the same elements are there, in whatever order."""
        return isinstance(other, list) and same_elements(self, other)

    def __ne__(self, other: object) -> bool:
        """Whether they differ."""
        return not self == other


def same_elements(some: Sequence[object], others: Sequence[object]) -> bool:
    """Compare without order, and without hashing."""
    rest = list(others)
    for item in some:
        if item not in rest:
            return False
        rest.remove(item)
    return not rest


class Items(Kind):
    """`list[T]` and `SetOf[T]`."""

    def __init__(self, element: Kind, kind: CollectionKind) -> None:
        self.element = element
        self.wire_type = Collection(kind, element.wire_type)
        self.is_set = kind is CollectionKind.SET

    def load(self, value: Value) -> Any:  # noqa: ANN401
        """A list, or a SetOf."""
        return (SetOf if self.is_set else list)(load(self.element, item) for item in value)

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """A list."""
        if not isinstance(value, list | tuple | set | frozenset):
            raise self.expect("a list", value)
        return [dump(self.element, item) for item in value]

    def misfits(self, value: Value, path: Path) -> Iterator[Misfit]:
        """Those of the elements."""
        for index, item in enumerate(value):
            yield from misfits(self.element, item, path if self.is_set else path / index)


class Entries(Kind):
    """`dict[str, T]`."""

    def __init__(self, element: Kind) -> None:
        self.element = element
        self.wire_type = Collection(CollectionKind.MAP, element.wire_type)

    def load(self, value: Value) -> Any:  # noqa: ANN401
        """A dict."""
        return {key: load(self.element, item) for key, item in value.items()}

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """A dict."""
        if not isinstance(value, dict):
            raise self.expect("a dict", value)
        return {key: dump(self.element, item) for key, item in value.items()}

    def misfits(self, value: Value, path: Path) -> Iterator[Misfit]:
        """Those of the elements."""
        for key, item in value.items():
            yield from misfits(self.element, item, path / Key(key))


class Row(Kind):
    """`tuple[A, B]`."""

    def __init__(self, elements: Sequence[Kind]) -> None:
        self._elements = elements
        self.wire_type = Tuple(tuple(element.wire_type for element in elements))

    def load(self, value: Value) -> Any:  # noqa: ANN401
        """A tuple."""
        return tuple(load(kind, item) for kind, item in zip(self._elements, value, strict=True))

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """A list of as many elements."""
        if not isinstance(value, list | tuple) or len(value) != len(self._elements):
            raise self.expect(f"{len(self._elements)} elements", value)
        return [dump(kind, item) for kind, item in zip(self._elements, value, strict=True)]

    def misfits(self, value: Value, path: Path) -> Iterator[Misfit]:
        """Those of the elements."""
        for index, (kind, item) in enumerate(zip(self._elements, value, strict=True)):
            yield from misfits(kind, item, path / index)
