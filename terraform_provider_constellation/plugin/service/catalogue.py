# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a provider has, by name: checked, and as Terraform asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from terraform_provider_constellation.plugin.errors import SchemaError
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.schema.messages import identity_message, schema_message
from terraform_provider_constellation.plugin.service.functions import function_message
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from terraform_provider_constellation.plugin.declared import Declared
    from terraform_provider_constellation.plugin.provider import Provider

_RESERVED: Final = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioner"}
_CAPABILITIES: Final = pb.ServerCapabilities(
    plan_destroy=True, get_provider_schema_optional=True, move_resource_state=True
)


class Catalogue:
    """Everything in a provider.

    Raises:
        SchemaError: Terraform would refuse something.

    Attributes:
        provider: the provider.
        resources: managed resources by type.
        data_sources: data sources by type.
        ephemeral_resources: ephemeral resources by type.
        lists: lists by the type of the managed resources that they find.
        functions: functions by name.
    """

    def __init__(self, provider: Provider[Any]) -> None:
        self.provider = provider
        self.resources = _by_name(provider, provider.resources)
        self.data_sources = _by_name(provider, provider.data_sources)
        self.ephemeral_resources = _by_name(provider, provider.ephemeral_resources)
        self.lists = _by_name(provider, provider.list_resources)
        self.functions = {item.name: item for item in provider.functions}
        for name in self.lists:
            if name not in self.resources or self.resources[name].identity is None:
                raise SchemaError(f"{name}: expected a managed resource with an identity, to list")

    def metadata(self) -> pb.GetMetadata.Response:
        """Names, so that Terraform need not ask for schemas."""
        return pb.GetMetadata.Response(
            server_capabilities=_CAPABILITIES,
            resources=[pb.GetMetadata.ResourceMetadata(type_name=name) for name in self.resources],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=name) for name in self.data_sources],
            ephemeral_resources=[
                pb.GetMetadata.EphemeralResourceMetadata(type_name=name) for name in self.ephemeral_resources
            ],
            list_resources=[pb.GetMetadata.ListResourceMetadata(type_name=name) for name in self.lists],
            functions=[pb.GetMetadata.FunctionMetadata(name=name) for name in self.functions],
        )

    def schemas(self) -> pb.GetProviderSchema.Response:
        """Schemas of everything."""
        return pb.GetProviderSchema.Response(
            server_capabilities=_CAPABILITIES,
            provider=schema_message(self.provider.schema, computes=False),
            resource_schemas={
                name: schema_message(item.schema, version=item.version, deprecated=item.deprecated)
                for name, item in self.resources.items()
            },
            data_source_schemas=_schemas(self.data_sources),
            ephemeral_resource_schemas=_schemas(self.ephemeral_resources),
            list_resource_schemas={
                name: schema_message(item.schema, computes=False) for name, item in self.lists.items()
            },
            functions=self.signatures().functions,
        )

    def identities(self) -> pb.GetResourceIdentitySchemas.Response:
        """Schemas of identities."""
        return pb.GetResourceIdentitySchemas.Response(
            identity_schemas={
                name: identity_message(schema_of(item.identity), version=item.identity_version)
                for name, item in self.resources.items()
                if item.identity
            }
        )

    def signatures(self) -> pb.GetFunctions.Response:
        """Signatures of functions."""
        return pb.GetFunctions.Response(functions={name: function_message(f) for name, f in self.functions.items()})


def _by_name(provider: Provider[Any], items: Iterable[Any]) -> dict[str, Any]:
    """Named things of a provider, checked."""
    named: dict[str, Declared] = {}
    for item in items:
        if not item.name.startswith(f"{provider.name}_") or item.name in named:
            raise SchemaError(f"{item.name}: expected a name of its own that begins with {provider.name}_")
        for attribute in _RESERVED & item.schema.attributes.keys():
            raise SchemaError(f"{item.name}.{attribute}: Terraform keeps this name for itself")
        named[item.name] = item
    return named


def _schemas(items: dict[str, Any]) -> dict[str, pb.Schema]:
    return {name: schema_message(item.schema, deprecated=item.deprecated) for name, item in items.items()}
