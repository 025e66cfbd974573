# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Defaults, filled into a configuration where it leaves something open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.schema.objects import Nesting
from terraform_provider_constellation.plugin.wire.unknown import Unknown

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.schema.objects import Attribute, ObjectSchema
    from terraform_provider_constellation.plugin.wire.types import Value


def with_defaults(schema: ObjectSchema, config: dict[str, Value]) -> dict[str, Value]:
    """A copy of a configuration with all defaults in it, at any depth."""
    return {name: _filled(attribute, config.get(name)) for name, attribute in schema.attributes.items()}


def _filled(attribute: Attribute, value: Value) -> Value:
    if value is None:
        value = attribute.default
    nested = attribute.nested
    if nested is None or value is None or isinstance(value, Unknown):
        return value
    match attribute.nesting:
        case Nesting.SINGLE:
            return with_defaults(nested, value)
        case Nesting.MAP:
            return {key: _element(nested, item) for key, item in value.items()}
        case Nesting.LIST | Nesting.SET:
            return [_element(nested, item) for item in value]


def _element(schema: ObjectSchema, value: Value) -> Value:
    return with_defaults(schema, value) if isinstance(value, dict) else value
