# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Types and values in words, as the registry's pages have them: `List of String`, `Attributes Map`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from terraform_provider_constellation.plugin.schema.kinds import Choice
from terraform_provider_constellation.plugin.schema.objects import Nesting
from terraform_provider_constellation.plugin.wire.types import Collection, Object, Primitive, Tuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from terraform_provider_constellation.plugin.schema.kinds import Kind
    from terraform_provider_constellation.plugin.schema.objects import Attribute
    from terraform_provider_constellation.plugin.wire.types import Type

_PRIMITIVES: Final = {
    Primitive.STRING: "String",
    Primitive.NUMBER: "Number",
    Primitive.BOOL: "Boolean",
    Primitive.DYNAMIC: "Dynamic",
}
_NESTED: Final = {Nesting.SINGLE: "", Nesting.LIST: " List", Nesting.SET: " Set", Nesting.MAP: " Map"}


def type_words(type_: Type) -> str:
    """Give a type in words."""
    match type_:
        case Collection(kind, element):
            return f"{kind.value.capitalize()} of {type_words(element)}"
        case Tuple(elements):
            return f"Tuple of {', '.join(map(type_words, elements))}"
        case Object():
            return "Object"
    return _PRIMITIVES[type_]


def signature_words(type_: Type) -> str:
    """Give a type as signatures of functions have it: `map of string`."""
    return type_words(type_).lower()


def attribute_words(attribute: Attribute) -> str:
    """Give what stands in brackets behind the name of an attribute: its type, and what Terraform does with it."""
    if attribute.nested is None:
        kind = type_words(attribute.kind.wire_type)
    else:
        kind = ("Block" if attribute.field.block else "Attributes") + _NESTED[attribute.nesting]
    flags = {
        "Sensitive": attribute.field.sensitive,
        "Write-only": attribute.field.write_only,
        "Deprecated": attribute.field.deprecated,
    }
    return ", ".join((kind, *(word for word, holds in flags.items() if holds)))


def remarks(attribute: Attribute, *, replaces: bool) -> Iterator[str]:
    """Give what is said of an attribute besides its description.

    Args:
        attribute: the attribute.
        replaces: whether a change of it makes the resource anew.
    """
    field = attribute.field
    if isinstance(attribute.kind, Choice):
        yield f"One of {', '.join(f'`{choice}`' for choice in attribute.kind.choices)}."
    if attribute.default is not None:
        yield f"Default: `{json.dumps(attribute.default, default=str)}`."
    if replaces:
        yield "Changing it makes the resource anew."
    if field.block and field.most > 1:
        yield f"At most {field.most}."
    if field.deprecated:
        yield f"Deprecated: {field.deprecated}"


def element_of(kind: Kind) -> Kind:
    """Give the kind of what is in a list, set or map; the kind itself where it is none."""
    return getattr(kind, "element", kind)
