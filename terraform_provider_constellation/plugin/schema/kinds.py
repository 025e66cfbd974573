# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of values: what an annotation such as `list[str]` or `int | None` means to Terraform, and to Python.

    annotation             Terraform            annotation             Terraform
    str                    string               list[T]                list(T)
    bool                   bool                 SetOf[T]               set(T)
    int, float, Decimal    number               dict[str, T]           map(T)
    Literal[...], StrEnum  string, one of them  tuple[A, B]            tuple([A, B])
    Any                    dynamic              a Model                object({...})

A kind loads values of Terraform for the author, and dumps the author's. Null and unknown pass through every kind: use
`load` and `dump`, the functions.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from terraform_provider_constellation.plugin.errors import WireError
from terraform_provider_constellation.plugin.wire.paths import Key, Path
from terraform_provider_constellation.plugin.wire.types import (
    Collection,
    CollectionKind,
    Primitive,
    Tuple,
    Type,
    Typed,
    Value,
    infer,
)
from terraform_provider_constellation.plugin.wire.unknown import Unknown
from terraform_provider_constellation.plugin.wire.values import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal
    from enum import StrEnum

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that is not what it must be.

    Attributes:
        path: where it is.
        expected: what it must be, as words for the middle of a sentence.
        value: what came.
    """

    path: Path
    expected: str
    value: Value


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


class Kind:
    """What one annotation means.

    Attributes:
        wire_type: to Terraform.
    """

    wire_type: Type

    def load(self, value: Value) -> Any:  # noqa: ANN401 - what the annotation says
        """A value of Terraform, neither null nor unknown, as the author sees it, and may change it."""
        return value

    def dump(self, value: Any) -> Value:  # noqa: ANN401 - what the annotation says
        """A value of the author, as Terraform sees it.

        Raises:
            WireError: it is not of this kind.
        """
        raise NotImplementedError

    def misfits(self, _value: Value, _path: Path) -> Iterator[Misfit]:
        """What of a value of Terraform this kind has no place for, although its type fits."""
        yield from ()

    def expect(self, what: str, value: object) -> WireError:
        """An error that says what came, without showing it."""
        return WireError(f"expected {what}, got {type(value).__name__}")


def load(kind: Kind, value: Value) -> Any:  # noqa: ANN401 - what the annotation says
    """A value of Terraform as the author sees it."""
    return value if value is None or isinstance(value, Unknown) else kind.load(value)


def dump(kind: Kind, value: Any) -> Value:  # noqa: ANN401 - what the annotation says
    """A value of the author as Terraform sees it.

    Raises:
        WireError: it is not of this kind.
    """
    return value if value is None or isinstance(value, Unknown) else kind.dump(value)


def misfits(kind: Kind, value: Value, path: Path) -> Iterator[Misfit]:
    """What of a value the kind has no place for."""
    if value is not None and not isinstance(value, Unknown):
        yield from kind.misfits(value, path)


class Text(Kind):
    """`str`."""

    wire_type = Primitive.STRING

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """Text as it is."""
        if not isinstance(value, str):
            raise self.expect("text", value)
        return str(value)


class Choice(Kind):
    """`Literal["a", "b"]`, or a StrEnum: one of several texts."""

    wire_type = Primitive.STRING

    def __init__(self, choices: Sequence[str], enum: type[StrEnum] | None = None) -> None:
        self.choices = choices
        self._enum = enum

    def load(self, value: Value) -> Any:  # noqa: ANN401
        """The member, or the text."""
        return self._enum(value) if self._enum and value in self.choices else value

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """Text, if it is one of ours."""
        if value not in self.choices:
            raise self.expect(self._expected(), value)
        return str(value)

    def misfits(self, value: Value, path: Path) -> Iterator[Misfit]:
        """Any other text."""
        if value not in self.choices:
            yield Misfit(path, self._expected(), value)

    def _expected(self) -> str:
        return f"one of {', '.join(self.choices)}"


class Truth(Kind):
    """`bool`."""

    wire_type = Primitive.BOOL

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """True or False, nothing that is like them."""
        if not isinstance(value, bool):
            raise self.expect("true or false", value)
        return value


class Number(Kind):
    """`int`, `float` or `Decimal`."""

    wire_type = Primitive.NUMBER

    def __init__(self, python: type[int | float | Decimal]) -> None:
        self._python = python

    def load(self, value: Value) -> Any:  # noqa: ANN401
        """The number as the annotation wants it."""
        return self._python(value)

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """The number exactly; a float as it is written, 0.1 and not what binary makes of it."""
        exact = number(repr(value) if isinstance(value, float) else value)
        if exact is None or isinstance(value, str) or (self._python is int and not isinstance(exact, int)):
            raise self.expect("a whole number" if self._python is int else "a number", value)
        return exact

    def misfits(self, value: Value, path: Path) -> Iterator[Misfit]:
        """A fraction where whole numbers are wanted."""
        if self._python is int and not isinstance(value, int):
            yield Misfit(path, "a whole number", value)


class Dynamic(Kind):
    """`Any`: the configuration decides about the type. The value keeps it, for as long as nobody replaces the value."""

    wire_type = Primitive.DYNAMIC

    def load(self, value: Value) -> Any:  # noqa: ANN401
        """The value with its type; a copy, for what is in it may be changed."""
        return copy.deepcopy(value)

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """With the type that it came with, or that it would have in a configuration."""
        return value if isinstance(value, Typed) else Typed(infer(value), exactly(value))


def exactly(value: Any) -> Any:  # noqa: ANN401
    """Lists for sequences and exact numbers for floats, at any depth."""
    if isinstance(value, dict):
        return {name: exactly(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [exactly(item) for item in value]
    return number(repr(value)) if isinstance(value, float) else value


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
