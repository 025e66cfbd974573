# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""From a declared class to its schema: read the annotations, and refuse what Terraform would refuse.

Terraform checks a schema when it starts a provider and then blames the provider, without saying where. We check when
the provider is made, so that its first test finds it.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from terraform_provider_constellation.plugin.errors import SchemaError, WireError
from terraform_provider_constellation.plugin.schema.containers import Entries, Items, Row, SetOf
from terraform_provider_constellation.plugin.schema.fields import MISSING
from terraform_provider_constellation.plugin.schema.kinds import Choice, Dynamic, Kind, Number, Text, Truth, dump
from terraform_provider_constellation.plugin.schema.model import Model
from terraform_provider_constellation.plugin.schema.objects import (
    Attribute,
    Members,
    Nesting,
    ObjectSchema,
    nested_schema,
)
from terraform_provider_constellation.plugin.schema.rules import Rule
from terraform_provider_constellation.plugin.wire.types import (
    Collection,
    CollectionKind,
    Object,
    Primitive,
    Tuple,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from terraform_provider_constellation.plugin.schema.fields import Field

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_SCALARS: Final[dict[object, Kind]] = {
    str: Text(),
    bool: Truth(),
    int: Number(int),
    float: Number(float),
    Decimal: Number(Decimal),
    Any: Dynamic(),
}


_declared: Final[dict[type[Model], ObjectSchema]] = {}


def schema_of(model: type[Model]) -> ObjectSchema:
    """The schema that a class declares.

    Raises:
        SchemaError: Terraform would refuse it; the message says which attribute.
    """
    if model not in _declared:
        _declared[model] = _read(model)
    return _declared[model]


def _read(model: type[Model]) -> ObjectSchema:
    hints = typing.get_type_hints(model)
    attributes = [_attribute(model, name, member.field, hints) for name, member in model.__members__.items()]
    rules = {name: value for base in reversed(model.__mro__) for name, value in vars(base).items() if _is_rule(value)}
    description = "" if model.__doc__ is None or model is Model else inspect.cleandoc(model.__doc__)
    schema = ObjectSchema(
        model, {attribute.name: attribute for attribute in attributes}, [*rules.values()], description
    )
    for attribute in attributes:
        for mistake in _mistakes(attribute):
            raise SchemaError(f"{model.__name__}.{attribute.member}: {mistake}")
    return schema


def kind_of(annotation: Any) -> Kind:  # noqa: ANN401, C901, PLR0911 - any annotation; a table: one line for each form
    """The kind of values that an annotation stands for. None in a union says nothing about the kind.

    Raises:
        SchemaError: Terraform has no type for it.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if origin in (typing.Union, types.UnionType):
        rest = [argument for argument in arguments if argument is not type(None)]
        if len(rest) == 1:
            return kind_of(rest[0])
    if origin is Literal and all(isinstance(argument, str) for argument in arguments):
        return Choice(arguments)
    if origin is list:
        return Items(kind_of(arguments[0]), CollectionKind.LIST)
    if origin is SetOf:
        return Items(kind_of(arguments[0]), CollectionKind.SET)
    if origin is dict and arguments[0] is str:
        return Entries(kind_of(arguments[1]))
    if origin is tuple and Ellipsis not in arguments:
        return Row([kind_of(argument) for argument in arguments])
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return Members(schema_of(annotation))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return Choice([*annotation], annotation)
    raise SchemaError(
        f"expected an annotation that Terraform has a type for, got {annotation}",
        hint="see the table of terraform_provider_constellation.plugin.schema.kinds",
    )


def is_nullable(annotation: object) -> bool:
    """Whether an annotation allows None."""
    return type(None) in typing.get_args(annotation)


def _is_rule(value: object) -> bool:
    return isinstance(value, Rule)


def _attribute(model: type[Model], member: str, field: Field, hints: dict[str, Any]) -> Attribute:
    if member not in hints:
        raise SchemaError(f"{model.__name__}.{member}: expected an annotation, found none")
    try:
        kind = kind_of(hints[member])
    except SchemaError as error:
        raise SchemaError(f"{model.__name__}.{member}: {error}", hint=error.hint) from error
    nested, nesting = nested_schema(kind)
    return Attribute(member.rstrip("_"), member, field, kind, is_nullable(hints[member]), nested, nesting)


def _mistakes(attribute: Attribute) -> Iterator[str]:
    """What Terraform would refuse about one attribute."""
    field, nested = attribute.field, attribute.nested
    if not _NAME.fullmatch(attribute.name):
        yield "expected a name of small letters, digits and underscores"
    if field.write_only and (field.computed or field.default is not MISSING):
        yield "what is written only cannot be computed, and has no default"
    if field.default is not MISSING:
        try:
            dump(attribute.kind, field.default)
        except WireError as error:
            yield f"the default is not of the annotation's kind: {error}"
    if field.block and nested is None:
        yield "a block is a model, or a list, SetOf or dict of a model"
    if not field.block and nested and any(item.field.block for item in nested.attributes.values()):
        yield "blocks are in blocks only, and this is an attribute"
    if nested and attribute.nesting is Nesting.SET and any(_is_write_only(item) for item in nested.attributes.values()):
        yield "nothing in a set can be written only"
    if any(_has_dynamic(element) for element in _collected(attribute.kind.wire_type)):
        yield "the type of what is in a collection cannot be left open (Any)"


def _is_write_only(attribute: Attribute) -> bool:
    nested = attribute.nested.attributes.values() if attribute.nested else ()
    return attribute.field.write_only or any(map(_is_write_only, nested))


def _collected(type_: Type) -> Iterator[Type]:
    """Types of elements of the collections in a type."""
    if isinstance(type_, Collection):
        yield type_.element


def _has_dynamic(type_: Type) -> bool:
    match type_:
        case Collection(_, element):
            return _has_dynamic(element)
        case Tuple(elements):
            return any(map(_has_dynamic, elements))
        case Object(attributes):
            return any(map(_has_dynamic, attributes.values()))
    return type_ is Primitive.DYNAMIC
