# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Schemas of custom objects, in the few words that ours need.

A structural schema is what the API server refuses objects by before anybody reads them: every text has a bound and a
pattern, every list a bound. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightkube.models.apiextensions_v1 import JSONSchemaProps, ValidationRule
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def record(
    description: str, properties: Mapping[str, JSONSchemaProps], *, optional: Iterable[str] = ()
) -> JSONSchemaProps:
    """Describe an object.

    Args:
        description: one sentence, shown by `kubectl explain`.
        properties: its fields; there are no others.
        optional: names of those that may be missing.
    """
    required = [name for name in properties if name not in frozenset(optional)]
    return JSONSchemaProps(
        type="object", description=description, properties=dict(properties), required=required or None
    )


def text(description: str, *, longest: int, pattern: str | None = None) -> JSONSchemaProps:
    """Describe a text of at most so many characters; a pattern must say where text begins (^) and ends ($)."""
    return JSONSchemaProps(type="string", description=description, maxLength=longest, pattern=pattern)


def choice(description: str, values: Iterable[str], *, default: str | None = None) -> JSONSchemaProps:
    """Describe one of some words."""
    return JSONSchemaProps(type="string", description=description, enum=list(values), default=default)


def time(description: str) -> JSONSchemaProps:
    """Describe a time (RFC 3339)."""
    return JSONSchemaProps(type="string", format="date-time", description=description)


def count(description: str) -> JSONSchemaProps:
    """Describe a number of things."""
    return JSONSchemaProps(type="integer", format="int64", minimum=0, description=description)


def unique(description: str, items: JSONSchemaProps, *, most: int) -> JSONSchemaProps:
    """Describe a list in which nothing stands twice."""
    return JSONSchemaProps(
        type="array", description=description, items=items, maxItems=most, x_kubernetes_list_type="set"
    )


def constant(schema: JSONSchemaProps) -> JSONSchemaProps:
    """Refuse every later value but the first.

    The property must be required too, else it could be taken away and set anew.
    """
    rule = ValidationRule(
        rule="self == oldSelf", message="says who the node is and cannot change", reason="FieldValueForbidden"
    )
    return replace(schema, x_kubernetes_validations=[rule])
