# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Schemas as Terraform asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.schema.objects import Nesting
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.types import to_bytes

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.schema.objects import Attribute, ObjectSchema


def schema_message(schema: ObjectSchema, *, version: int = 0, deprecated: str = "", computes: bool = True) -> pb.Schema:
    """A schema of a resource, data source, provider and so on.

    Args:
        schema: what is declared.
        version: of the schema; stored with every state.
        deprecated: what to use instead, if it is deprecated.
        computes: whether there are computed values at all. A provider's own configuration has none: defaults are filled
            in where it is read.
    """
    return pb.Schema(version=version, block=_block(schema, deprecated=deprecated, computes=computes))


def identity_message(schema: ObjectSchema, *, version: int) -> pb.ResourceIdentitySchema:
    """A schema of what identifies a resource for as long as it lives."""
    return pb.ResourceIdentitySchema(
        version=version,
        identity_attributes=[
            pb.ResourceIdentitySchema.IdentityAttribute(
                name=name,
                type=to_bytes(attribute.kind.wire_type),
                required_for_import=attribute.field.required,
                optional_for_import=not attribute.field.required,
                description=attribute.field.description,
            )
            for name, attribute in schema.attributes.items()
        ],
    )


def _block(schema: ObjectSchema, *, deprecated: str = "", computes: bool = True) -> pb.Schema.Block:
    items = schema.attributes.values()
    return pb.Schema.Block(
        attributes=[_attribute(item, computes=computes) for item in items if not item.field.block],
        block_types=[_nested_block(item, item.nested) for item in items if item.field.block and item.nested],
        description=schema.description,
        description_kind=pb.MARKDOWN,
        deprecated=bool(deprecated),
        deprecation_message=deprecated,
    )


def _attribute(attribute: Attribute, *, computes: bool) -> pb.Schema.Attribute:
    field = attribute.field
    message = pb.Schema.Attribute(
        name=attribute.name,
        description=field.description,
        description_kind=pb.MARKDOWN,
        required=field.required,
        optional=field.optional,
        computed=field.computed and computes,
        sensitive=field.sensitive,
        write_only=field.write_only,
        deprecated=bool(field.deprecated),
        deprecation_message=field.deprecated,
    )
    if attribute.nested is None:
        message.type = to_bytes(attribute.kind.wire_type)
    else:
        nested = [_attribute(item, computes=computes) for item in attribute.nested.attributes.values()]
        message.nested_type.CopyFrom(pb.Schema.Object(attributes=nested, nesting=attribute.nesting.name))
    return message


def _nested_block(attribute: Attribute, nested: ObjectSchema) -> pb.Schema.NestedBlock:
    field = attribute.field
    is_single = attribute.nesting is Nesting.SINGLE
    return pb.Schema.NestedBlock(
        type_name=attribute.name,
        block=_block(nested, deprecated=field.deprecated),
        nesting=attribute.nesting.name,
        min_items=field.least,
        max_items=field.least if is_single else field.most,  # Terraform wants both the same for single blocks
    )
