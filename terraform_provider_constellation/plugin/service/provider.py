# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Calls about the provider, its data sources and ephemeral resources; and the way to all other calls."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.call import Call, Lease
from terraform_provider_constellation.plugin.errors import DeferredError
from terraform_provider_constellation.plugin.planning.validation import problems
from terraform_provider_constellation.plugin.service import functions, state_changes
from terraform_provider_constellation.plugin.service.catalogue import Catalogue
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
    from collections.abc import AsyncIterator

    from google.protobuf.message import Message

    from terraform_provider_constellation.plugin.provider import Provider
    from terraform_provider_constellation.plugin.schema.objects import ObjectSchema


class ProviderCalls:
    """A provider, as Terraform calls it: one method for each call of the protocol, by the call's name.

    Raises:
        SchemaError: Terraform would refuse a schema of the provider.

    Attributes:
        stopping: is set when Terraform is told to stop.
    """

    def __init__(self, provider: Provider[Any]) -> None:
        self.stopping = asyncio.Event()
        self._provider = provider
        self._catalogue = Catalogue(provider)
        self._resources = {
            name: ResourceCalls(resource, self.stopping) for name, resource in self._catalogue.resources.items()
        }

    async def answer(self, call: str, request: Any) -> Any:  # noqa: ANN401 - a message of the protocol
        """Answer a call that has one answer. An exception becomes part of it."""
        try:
            return await getattr(self, _name(call))(request)
        except Exception as error:  # noqa: BLE001 - the answer is the only way to say it
            schema = self._schema(call, getattr(request, "type_name", ""))
            response: Message = getattr(pb, call).Response(diagnostics=messages(diagnosed(error), schema))
            return response

    def _schema(self, call: str, name: str) -> ObjectSchema | None:
        """What a call is about, if there is such a thing."""
        if not name:
            return self._provider.schema
        ours = self._catalogue
        kinds = {"Data": ours.data_sources, "Ephemeral": ours.ephemeral_resources, "List": ours.lists}
        items = next((items for kind, items in kinds.items() if kind in call), ours.resources)
        return items[name].schema if name in items else None

    def knows(self, call: str) -> bool:
        """Whether there is a method for a call."""
        return hasattr(self, _name(call))

    # What there is.

    async def get_metadata(self, _request: pb.GetMetadata.Request) -> pb.GetMetadata.Response:
        """See `Catalogue.metadata`."""
        return self._catalogue.metadata()

    async def get_provider_schema(self, _request: pb.GetProviderSchema.Request) -> pb.GetProviderSchema.Response:
        """See `Catalogue.schemas`."""
        return self._catalogue.schemas()

    async def get_resource_identity_schemas(
        self, _request: pb.GetResourceIdentitySchemas.Request
    ) -> pb.GetResourceIdentitySchemas.Response:
        """See `Catalogue.identities`."""
        return self._catalogue.identities()

    async def get_functions(self, _request: pb.GetFunctions.Request) -> pb.GetFunctions.Response:
        """See `Catalogue.signatures`."""
        return self._catalogue.signatures()

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
        schema = self._catalogue.lists[request.type_name].schema
        return pb.ValidateListResourceConfig.Response(diagnostics=_validated(schema, request.config))

    def list_resource(self, request: pb.ListResource.Request) -> AsyncIterator[pb.ListResource.Event]:
        """See `state_changes.find`."""
        return state_changes.find(self._catalogue.lists[request.type_name], self._resources[request.type_name], request)

    # Data sources.

    async def validate_data_resource_config(
        self, request: pb.ValidateDataResourceConfig.Request
    ) -> pb.ValidateDataResourceConfig.Response:
        """Look at the configuration of a data source."""
        schema = self._catalogue.data_sources[request.type_name].schema
        return pb.ValidateDataResourceConfig.Response(diagnostics=_validated(schema, request.config))

    async def read_data_source(self, request: pb.ReadDataSource.Request) -> pb.ReadDataSource.Response:
        """Read a data source."""
        source = self._catalogue.data_sources[request.type_name]
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
        schema = self._catalogue.ephemeral_resources[request.type_name].schema
        return pb.ValidateEphemeralResourceConfig.Response(diagnostics=_validated(schema, request.config))

    async def open_ephemeral_resource(
        self, request: pb.OpenEphemeralResource.Request
    ) -> pb.OpenEphemeralResource.Response:
        """Make it."""
        resource = self._catalogue.ephemeral_resources[request.type_name]
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
        await self._catalogue.ephemeral_resources[request.type_name].renew(lease)
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
        await self._catalogue.ephemeral_resources[request.type_name].close(lease)
        return pb.CloseEphemeralResource.Response(diagnostics=messages(lease.warnings))

    # Functions.

    async def call_function(self, request: pb.CallFunction.Request) -> pb.CallFunction.Response:
        """See `functions.call`."""
        return await functions.call(self._catalogue.functions[request.name], request)


@cache
def _name(call: str) -> str:
    """`PlanResourceChange` is `plan_resource_change`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", call).lower()


def _validated(schema: ObjectSchema, message: pb.DynamicValue) -> list[pb.Diagnostic]:
    return messages(problems(schema, config_of(schema, message)), schema)
