# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Terraform's types, and their notation in JSON: `["map", "string"]`, `["object", {"name": "string"}]`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.errors import WireError
from terraform_provider_constellation.plugin.wire.unknown import Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = Any
"""A value as Terraform sees it: None, bool, str, int, Decimal, list, dict, Unknown; Typed where the type is dynamic."""


class Primitive(Enum):
    """Types without parts. The values are the notation."""

    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    DYNAMIC = "dynamic"


class CollectionKind(Enum):
    """Types with any number of elements of one type. The values are the notation."""

    LIST = "list"
    SET = "set"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Collection:
    """A list, set or map. A set is a list here whose order says nothing."""

    kind: CollectionKind
    element: Type


@dataclass(frozen=True, slots=True)
class Tuple:
    """A fixed number of elements, each of its own type."""

    elements: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Object:
    """Named attributes, each of its own type."""

    attributes: Mapping[str, Type]


Type = Primitive | Collection | Tuple | Object


@dataclass(frozen=True, slots=True)
class Typed:
    """A value whose type the configuration decides: both travel together."""

    type: Type
    value: Value


def untyped(value: Value) -> Value:
    """A value alone."""
    return value.value if isinstance(value, Typed) else value


def notation(type_: Type) -> Any:  # noqa: ANN401 - any JSON
    """What JSON stands for this type."""
    match type_:
        case Primitive():
            return type_.value
        case Collection(kind, element):
            return [kind.value, notation(element)]
        case Tuple(elements):
            return ["tuple", [notation(element) for element in elements]]
        case Object(attributes):
            return ["object", {name: notation(attribute) for name, attribute in attributes.items()}]


def to_bytes(type_: Type) -> bytes:
    """The notation, as schemas carry it."""
    return json.dumps(notation(type_), separators=(",", ":")).encode()


def parse(noted: object) -> Type:
    """Read the notation.

    Raises:
        WireError: this is no type.
    """
    match noted:
        case str() if noted in {primitive.value for primitive in Primitive}:
            return Primitive(noted)
        case ["list" | "set" | "map" as kind, element]:
            return Collection(CollectionKind(kind), parse(element))
        case ["tuple", [*elements]]:
            return Tuple(tuple(parse(element) for element in elements))
        case ["object", dict(attributes), *_]:
            return Object({name: parse(attribute) for name, attribute in attributes.items()})
    raise WireError(f"expected a type, got {noted!r}")


def infer(value: Value) -> Type:
    """The type that Terraform gives to the same value written out in a configuration.

    Raises:
        WireError: there is no such value in Terraform.
    """
    match value:
        case None | Unknown():
            return Primitive.DYNAMIC
        case bool():
            return Primitive.BOOL
        case int() | float() | Decimal():
            return Primitive.NUMBER
        case str():
            return Primitive.STRING
        case dict():
            return Object({str(name): infer(attribute) for name, attribute in value.items()})
        case list() | tuple():
            return Tuple(tuple(infer(element) for element in value))
    raise WireError(f"expected a value that Terraform has a type for, got {type(value).__name__}")
