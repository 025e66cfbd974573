# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Calls about the provider, its data sources and ephemeral resources; and the way to all other calls."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from terraform_provider_constellation.plugin.call import Call, Lease
from terraform_provider_constellation.plugin.errors import DeferredError, SchemaError
from terraform_provider_constellation.plugin.planning.validation import problems
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.schema.messages import identity_message, schema_message
from terraform_provider_constellation.plugin.service import functions, state_changes
from terraform_provider_constellation.plugin.service.diagnostics import diagnosed, messages
from terraform_provider_constellation.plugin.service.requests import (
    config_of,
    known_message,
    model_of,
    private_bytes,
    private_of,
)
from terraform_provider_constellation.plugin.service.resources import ResourceCalls
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from google.protobuf.message import Message

    from terraform_provider_constellation.plugin.declared import Declared
    from terraform_provider_constellation.plugin.provider import Provider
    from terraform_provider_constellation.plugin.schema.objects import ObjectSchema

_RESERVED: Final = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioner"}
_CAPABILITIES: Final = pb.ServerCapabilities(
    plan_destroy=True, get_provider_schema_optional=True, move_resource_state=True
)


class ProviderCalls:
    """A provider, as Terraform calls it: one method for each call of the protocol, by the call's name.

    Raises:
        SchemaError: Terraform would refuse a schema of the provider.
    """

    def __init__(self, provider: Provider[Any]) -> None:
        self.stopping = asyncio.Event()
        self._provider = provider
        self._resources = {item.name: ResourceCalls(item, self.stopping) for item in provider.resources}
        self._data = _by_name(provider, provider.data_sources)
        self._ephemeral = _by_name(provider, provider.ephemeral_resources)
        self._lists = _by_name(provider, provider.list_resources)
        self._functions = {item.name: item for item in provider.functions}
        _by_name(provider, provider.resources)
        for name in self._lists:
            if name not in self._resources or self._resources[name].resource.identity is None:
                raise SchemaError(f"{name}: expected a managed resource with an identity, to list")

    async def answer(self, call: str, request: Any) -> Any:  # noqa: ANN401 - a message of the protocol
        """Answer a call that has one answer. An exception becomes part of it."""
        try:
            return await self._method(call)(request)
        except Exception as error:  # noqa: BLE001 - the answer is the only way to say it
            schema = self._schema(call, getattr(request, "type_name", ""))
            response: Message = getattr(pb, call).Response(diagnostics=messages(diagnosed(error), schema))
            return response

    def _schema(self, call: str, name: str) -> ObjectSchema | None:
        """What a call is about, if there is such a thing."""
        if not name:
            return self._provider.schema
        kinds = {"Data": self._data, "Ephemeral": self._ephemeral, "List": self._lists}
        items = next((items for kind, items in kinds.items() if kind in call), self._resources)
        return items[name].schema if name in items else None

    def knows(self, call: str) -> bool:
        """Whether there is a method for a call."""
        return hasattr(self, _name(call))

    def _method(self, call: str) -> Any:  # noqa: ANN401 - a method
        return getattr(self, _name(call))

    # What there is.

    async def get_metadata(self, _request: pb.GetMetadata.Request) -> pb.GetMetadata.Response:
        """Names, so that Terraform need not ask for schemas."""
        return pb.GetMetadata.Response(
            server_capabilities=_CAPABILITIES,
            resources=[pb.GetMetadata.ResourceMetadata(type_name=name) for name in self._resources],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=name) for name in self._data],
            ephemeral_resources=[pb.GetMetadata.EphemeralResourceMetadata(type_name=name) for name in self._ephemeral],
            list_resources=[pb.GetMetadata.ListResourceMetadata(type_name=name) for name in self._lists],
            functions=[pb.GetMetadata.FunctionMetadata(name=name) for name in self._functions],
        )

    async def get_provider_schema(self, _request: pb.GetProviderSchema.Request) -> pb.GetProviderSchema.Response:
        """Schemas of everything."""
        resources = {name: calls.resource for name, calls in self._resources.items()}
        return pb.GetProviderSchema.Response(
            server_capabilities=_CAPABILITIES,
            provider=schema_message(self._provider.schema, computes=False),
            resource_schemas={
                name: schema_message(item.schema, version=item.version, deprecated=item.deprecated)
                for name, item in resources.items()
            },
            data_source_schemas=_schemas(self._data),
            ephemeral_resource_schemas=_schemas(self._ephemeral),
            list_resource_schemas={
                name: schema_message(item.schema, computes=False) for name, item in self._lists.items()
            },
            functions={name: functions.function_message(item) for name, item in self._functions.items()},
        )

    async def get_resource_identity_schemas(
        self, _request: pb.GetResourceIdentitySchemas.Request
    ) -> pb.GetResourceIdentitySchemas.Response:
        """Schemas of identities."""
        resources = {name: calls.resource for name, calls in self._resources.items()}
        return pb.GetResourceIdentitySchemas.Response(
            identity_schemas={
                name: identity_message(schema_of(item.identity), version=item.identity_version)
                for name, item in resources.items()
                if item.identity
            }
        )

    async def get_functions(self, _request: pb.GetFunctions.Request) -> pb.GetFunctions.Response:
        """Signatures of functions."""
        found = {name: functions.function_message(item) for name, item in self._functions.items()}
        return pb.GetFunctions.Response(functions=found)

    # The provider itself.

    async def validate_provider_config(
        self, request: pb.ValidateProviderConfig.Request
    ) -> pb.ValidateProviderConfig.Response:
        """Look at the provider's configuration."""
        return pb.ValidateProviderConfig.Response(diagnostics=_validated(self._provider.schema, request.config))

    async def configure_provider(self, request: pb.ConfigureProvider.Request) -> pb.ConfigureProvider.Response:
        """Give the provider its configuration."""
        call = Call(stopping=self.stopping, deferral_allowed=request.client_capabilities.deferral_allowed)
        await self._provider.configure(model_of(self._provider.schema, request.config), call)
        return pb.ConfigureProvider.Response(diagnostics=messages(call.warnings, self._provider.schema))

    async def stop_provider(self, _request: pb.StopProvider.Request) -> pb.StopProvider.Response:
        """Ask what is under way to end soon. This call only asks; answers are still wanted."""
        self.stopping.set()
        return pb.StopProvider.Response()

    # Managed resources.

    async def validate_resource_config(
        self, request: pb.ValidateResourceConfig.Request
    ) -> pb.ValidateResourceConfig.Response:
        """See `ResourceCalls.validate`."""
        return self._resources[request.type_name].validate(request)

    async def plan_resource_change(self, request: pb.PlanResourceChange.Request) -> pb.PlanResourceChange.Response:
        """See `ResourceCalls.plan`."""
        return await self._resources[request.type_name].plan(request)

    async def apply_resource_change(self, request: pb.ApplyResourceChange.Request) -> pb.ApplyResourceChange.Response:
        """See `ResourceCalls.apply`."""
        return await self._resources[request.type_name].apply(request)

    async def read_resource(self, request: pb.ReadResource.Request) -> pb.ReadResource.Response:
        """See `ResourceCalls.read`."""
        return await self._resources[request.type_name].read(request)

    async def upgrade_resource_state(
        self, request: pb.UpgradeResourceState.Request
    ) -> pb.UpgradeResourceState.Response:
        """See `state_changes.upgrade`."""
        return state_changes.upgrade(self._resources[request.type_name], request)

    async def upgrade_resource_identity(
        self, request: pb.UpgradeResourceIdentity.Request
    ) -> pb.UpgradeResourceIdentity.Response:
        """See `state_changes.upgrade_identity`."""
        return state_changes.upgrade_identity(self._resources[request.type_name], request)

    async def import_resource_state(self, request: pb.ImportResourceState.Request) -> pb.ImportResourceState.Response:
        """See `state_changes.import_state`."""
        return await state_changes.import_state(self._resources[request.type_name], request)

    async def move_resource_state(self, request: pb.MoveResourceState.Request) -> pb.MoveResourceState.Response:
        """See `state_changes.move`."""
        return await state_changes.move(self._resources[request.target_type_name], request)

    # Lists.

    async def validate_list_resource_config(
        self, request: pb.ValidateListResourceConfig.Request
    ) -> pb.ValidateListResourceConfig.Response:
        """Look at the filter of a list."""
        schema = self._lists[request.type_name].schema
        return pb.ValidateListResourceConfig.Response(diagnostics=_validated(schema, request.config))

    def list_resource(self, request: pb.ListResource.Request) -> AsyncIterator[pb.ListResource.Event]:
        """See `state_changes.find`."""
        return state_changes.find(self._lists[request.type_name], self._resources[request.type_name], request)

    # Data sources.

    async def validate_data_resource_config(
        self, request: pb.ValidateDataResourceConfig.Request
    ) -> pb.ValidateDataResourceConfig.Response:
        """Look at the configuration of a data source."""
        schema = self._data[request.type_name].schema
        return pb.ValidateDataResourceConfig.Response(diagnostics=_validated(schema, request.config))

    async def read_data_source(self, request: pb.ReadDataSource.Request) -> pb.ReadDataSource.Response:
        """Read a data source."""
        source = self._data[request.type_name]
        call = Call(stopping=self.stopping, deferral_allowed=request.client_capabilities.deferral_allowed)
        try:
            found = await source.read(model_of(source.schema, request.config), call)
        except DeferredError as error:
            if not call.deferral_allowed:
                raise
            reason = pb.Deferred.Reason.Name(error.reason.value)
            return pb.ReadDataSource.Response(deferred=pb.Deferred(reason=reason))
        state = known_message(source.schema, found)
        return pb.ReadDataSource.Response(state=state, diagnostics=messages(call.warnings, source.schema))

    # Ephemeral resources.

    async def validate_ephemeral_resource_config(
        self, request: pb.ValidateEphemeralResourceConfig.Request
    ) -> pb.ValidateEphemeralResourceConfig.Response:
        """Look at the configuration of an ephemeral resource."""
        schema = self._ephemeral[request.type_name].schema
        return pb.ValidateEphemeralResourceConfig.Response(diagnostics=_validated(schema, request.config))

    async def open_ephemeral_resource(
        self, request: pb.OpenEphemeralResource.Request
    ) -> pb.OpenEphemeralResource.Response:
        """Make it."""
        resource = self._ephemeral[request.type_name]
        lease = Lease(stopping=self.stopping)
        opened = await resource.open(model_of(resource.schema, request.config), lease)
        return pb.OpenEphemeralResource.Response(
            result=known_message(resource.schema, opened),
            private=private_bytes(lease.private),
            renew_at=lease.renew_at.astimezone(UTC) if lease.renew_at else None,
            diagnostics=messages(lease.warnings),
        )

    async def renew_ephemeral_resource(
        self, request: pb.RenewEphemeralResource.Request
    ) -> pb.RenewEphemeralResource.Response:
        """Keep it."""
        lease = Lease(stopping=self.stopping, private=private_of(request.private))
        await self._ephemeral[request.type_name].renew(lease)
        return pb.RenewEphemeralResource.Response(
            private=private_bytes(lease.private),
            renew_at=lease.renew_at.astimezone(UTC) if lease.renew_at else None,
            diagnostics=messages(lease.warnings),
        )

    async def close_ephemeral_resource(
        self, request: pb.CloseEphemeralResource.Request
    ) -> pb.CloseEphemeralResource.Response:
        """Give it up."""
        lease = Lease(stopping=self.stopping, private=private_of(request.private))
        await self._ephemeral[request.type_name].close(lease)
        return pb.CloseEphemeralResource.Response(diagnostics=messages(lease.warnings))

    # Functions.

    async def call_function(self, request: pb.CallFunction.Request) -> pb.CallFunction.Response:
        """See `functions.call`."""
        return await functions.call(self._functions[request.name], request)


@cache
def _name(call: str) -> str:
    """`PlanResourceChange` is `plan_resource_change`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", call).lower()


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


def _validated(schema: ObjectSchema, message: pb.DynamicValue) -> list[pb.Diagnostic]:
    return messages(problems(schema, config_of(schema, message)), schema)
