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
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.errors import WireError
from terraform_provider_constellation.plugin.wire.types import Primitive, Type, Typed, Value, infer
from terraform_provider_constellation.plugin.wire.unknown import Unknown
from terraform_provider_constellation.plugin.wire.values import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal
    from enum import StrEnum

    from terraform_provider_constellation.plugin.wire.paths import Path


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
