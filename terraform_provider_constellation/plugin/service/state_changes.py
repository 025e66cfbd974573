# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Calls that bring a state from elsewhere: upgrade from an older schema, import, move from another type, list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.call import Call
from terraform_provider_constellation.plugin.errors import DeferredError, ProviderError, WireError
from terraform_provider_constellation.plugin.resource import ForeignState
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.service.diagnostics import diagnosed, messages
from terraform_provider_constellation.plugin.service.requests import model_of, private_bytes, private_of, stored
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.values import from_json, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from terraform_provider_constellation.plugin.provider import Found, ListResource
    from terraform_provider_constellation.plugin.schema.objects import ObjectSchema
    from terraform_provider_constellation.plugin.service.resources import ResourceCalls


def upgrade(calls: ResourceCalls, request: pb.UpgradeResourceState.Request) -> pb.UpgradeResourceState.Response:
    """Bring a stored state to this schema. Terraform asks before it uses any."""
    resource = calls.resource
    values = _upgraded(request.version, resource.version, resource.upgrade, stored(request.raw_state))
    return pb.UpgradeResourceState.Response(upgraded_state=_stored_message(calls.schema, values, resource.name))


def upgrade_identity(
    calls: ResourceCalls, request: pb.UpgradeResourceIdentity.Request
) -> pb.UpgradeResourceIdentity.Response:
    """Bring a stored identity to this model."""
    resource = calls.resource
    if resource.identity is None:
        raise ProviderError(f"{resource.name} has no identity")
    raw = stored(request.raw_identity)
    values = _upgraded(request.version, resource.identity_version, resource.upgrade_identity, raw)
    message = _stored_message(schema_of(resource.identity), values, resource.name)
    return pb.UpgradeResourceIdentity.Response(upgraded_identity=pb.ResourceIdentityData(identity_data=message))


async def import_state(
    calls: ResourceCalls, request: pb.ImportResourceState.Request
) -> pb.ImportResourceState.Response:
    """Find a resource that exists."""
    operation = calls.operation(b"", request.identity, calls.schema.load({}))
    operation.deferral_allowed = request.client_capabilities.deferral_allowed
    try:
        state = await calls.resource.import_state(request.id, operation)
    except DeferredError as error:
        if not operation.deferral_allowed:
            raise
        reason = pb.Deferred.Reason.Name(error.reason.value)
        return pb.ImportResourceState.Response(deferred=pb.Deferred(reason=reason))
    values = calls.schema.dump(state)
    imported = pb.ImportResourceState.ImportedResource(
        type_name=calls.resource.name,
        state=write(values, calls.schema.type),
        private=private_bytes(operation.private),
        identity=calls.identity_message(values) or request.identity,
    )
    return pb.ImportResourceState.Response(
        imported_resources=[imported], diagnostics=messages(operation.warnings, calls.schema)
    )


async def move(calls: ResourceCalls, request: pb.MoveResourceState.Request) -> pb.MoveResourceState.Response:
    """Take over a resource of another type."""
    source = ForeignState(
        provider=request.source_provider_address,
        name=request.source_type_name,
        version=request.source_schema_version,
        values=stored(request.source_state),
        private=private_of(request.source_private),
    )
    operation = calls.operation(b"", pb.ResourceIdentityData(), calls.schema.load({}))
    values = calls.schema.dump(await calls.resource.move(source, operation))
    return pb.MoveResourceState.Response(
        target_state=write(values, calls.schema.type),
        target_private=private_bytes(operation.private),
        target_identity=calls.identity_message(values),
        diagnostics=messages(operation.warnings, calls.schema),
    )


async def find(
    listing: ListResource[Any, Any], calls: ResourceCalls, request: pb.ListResource.Request
) -> AsyncIterator[pb.ListResource.Event]:
    """Yield existing resources, no more than Terraform wants."""
    call = Call(stopping=calls.stopping)
    count = 0
    try:
        async for found in listing.find(model_of(listing.schema, request.config), call):
            yield _event(calls, found, include=request.include_resource_object)
            count += 1
            if count == request.limit:
                break
    except Exception as error:  # noqa: BLE001 - the answer is the only way to say it
        yield pb.ListResource.Event(diagnostic=messages(diagnosed(error)))
    if call.warnings:
        yield pb.ListResource.Event(diagnostic=messages(call.warnings))


def _event(calls: ResourceCalls, found: Found[Any], *, include: bool) -> pb.ListResource.Event:
    values = calls.schema.dump(found.state)
    return pb.ListResource.Event(
        display_name=found.title,
        identity=calls.identity_message(values),
        resource_object=write(values, calls.schema.type) if include else None,
    )


def _upgraded(version: int, ours: int, upgrade: Any, values: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a method
    """Call the author's upgrade where it is needed."""
    if version > ours:
        detail = f"It has version {version} of the schema, this provider knows version {ours}. Use the newer provider."
        raise ProviderError("The state was written by a newer provider", detail)
    return values if version == ours else upgrade(version, values)


def _stored_message(schema: ObjectSchema, values: dict[str, Any], name: str) -> pb.DynamicValue:
    """A stored state as a value. Attributes that the schema has no longer are left out, as Terraform wants it."""
    try:
        return write(from_json({key: values.get(key) for key in schema.attributes}, schema.type), schema.type)
    except WireError as error:
        raise ProviderError(f"The stored state of {name} cannot be read", f"{error}.") from error
