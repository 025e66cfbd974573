# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Calls about managed resources: validate, plan, apply, read."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.call import Call, Change, Operation
from terraform_provider_constellation.plugin.errors import DeferredError, Problem, ProviderError, WireError
from terraform_provider_constellation.plugin.planning.defaults import with_defaults
from terraform_provider_constellation.plugin.planning.merge import merge
from terraform_provider_constellation.plugin.planning.promises import reconciled
from terraform_provider_constellation.plugin.planning.unknowns import unknown_paths, without_unknowns
from terraform_provider_constellation.plugin.planning.validation import problems, write_only_problems
from terraform_provider_constellation.plugin.resource import Resource
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.schema.objects import Members
from terraform_provider_constellation.plugin.schema.timeouts import Timeouts, parse_duration
from terraform_provider_constellation.plugin.service.diagnostics import diagnosed, messages, path_message
from terraform_provider_constellation.plugin.service.requests import (
    config_of,
    private_bytes,
    private_of,
    refuse_unknown,
    unknown_problems,
    values_of,
)
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.paths import Path
from terraform_provider_constellation.plugin.wire.values import read, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from terraform_provider_constellation.plugin.schema.model import Model
    from terraform_provider_constellation.plugin.wire.types import Value

    Values = dict[str, Value]


class ResourceCalls:
    """One type of resources, as Terraform calls it."""

    def __init__(self, resource: Resource[Any], stopping: asyncio.Event) -> None:
        self.resource = resource
        self.schema = resource.schema
        self.stopping = stopping
        limits = (item.member for item in self.schema.attributes.values() if item.nested is schema_of(Timeouts))
        self._timeouts = next(limits, None)

    def validate(self, request: pb.ValidateResourceConfig.Request) -> pb.ValidateResourceConfig.Response:
        """Look at a configuration."""
        config = config_of(self.schema, request.config)
        found = list(problems(self.schema, config))
        if not request.client_capabilities.write_only_attributes_allowed:
            found += write_only_problems(self.schema, config)
        return pb.ValidateResourceConfig.Response(diagnostics=messages(found, self.schema))

    async def plan(self, request: pb.PlanResourceChange.Request) -> pb.PlanResourceChange.Response:
        """Plan a change; a null proposal is a plan to delete."""
        prior = values_of(self.schema, request.prior_state)
        if values_of(self.schema, request.proposed_new_state) is None:
            return await self._plan_delete(request, prior)
        config = config_of(self.schema, request.config)
        merged = merge(self.schema, config, prior)
        if type(self.resource).plan is Resource.plan:  # it has no say
            return self._plan_message(merged.values, merged.replacements, request.prior_private)
        change = Change(
            config=self.schema.load(with_defaults(self.schema, config)),
            prior=None if prior is None else self.schema.load(prior),
            planned=self.schema.load(merged.values),
            replacements=merged.replacements,
            private=private_of(request.prior_private),
            stopping=self.stopping,
            deferral_allowed=request.client_capabilities.deferral_allowed,
        )
        deferred = await self._planned(change)
        planned = reconciled(self.schema, self.schema.dump(change.planned), merged.values)
        response = self._plan_message(planned, change.replacements, private_bytes(change.private))
        response.diagnostics.extend(messages(change.warnings, self.schema))
        if deferred:
            response.deferred.CopyFrom(deferred)
        return response

    def _plan_message(
        self, planned: Values, replacements: list[Path], private: bytes
    ) -> pb.PlanResourceChange.Response:
        return pb.PlanResourceChange.Response(
            planned_state=write(planned, self.schema.type),
            requires_replace=[path_message(path) for path in replacements],
            planned_private=private,
            planned_identity=self.identity_message(planned),
        )

    async def _planned(self, change: Change[Any]) -> pb.Deferred | None:
        """Let the resource have its say."""
        try:
            await self.resource.plan(change)
        except DeferredError as error:
            if not change.deferral_allowed:
                raise
            return pb.Deferred(reason=pb.Deferred.Reason.Name(error.reason.value))
        return None

    async def _plan_delete(
        self, request: pb.PlanResourceChange.Request, prior: Values | None
    ) -> pb.PlanResourceChange.Response:
        call = Call(private=private_of(request.prior_private), stopping=self.stopping)
        if prior is not None:
            await self.resource.plan_delete(self.schema.load(prior), call)
        return pb.PlanResourceChange.Response(
            planned_state=request.proposed_new_state,
            planned_private=private_bytes(call.private),
            diagnostics=messages(call.warnings, self.schema),
        )

    async def apply(self, request: pb.ApplyResourceChange.Request) -> pb.ApplyResourceChange.Response:
        """Do what was planned. Whatever happens, the answer says what is there."""
        prior, planned = values_of(self.schema, request.prior_state), values_of(self.schema, request.planned_state)
        config = config_of(self.schema, request.config)
        wanted = self.schema.load(with_defaults(self.schema, config))
        operation = self.operation(request.planned_private, request.planned_identity, wanted)
        found: list[Problem] = []
        try:
            state = await self._applied(prior, planned, operation)
            values = None if planned is None else self._stored(state, planned, found)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the user must not lose what is there
            found += diagnosed(error)
            values = prior if operation.saved is None else self._stored(operation.saved, planned or prior or {}, found)
        response = pb.ApplyResourceChange.Response(new_state=write(values, self.schema.type))
        try:
            response.private = private_bytes(operation.private) if values is not None else b""
            if identity := self.identity_message(values):
                response.new_identity.CopyFrom(identity)
        except Exception as error:  # noqa: BLE001 - as above
            found += diagnosed(error)
        response.diagnostics.extend(messages([*operation.warnings, *found], self.schema))
        return response

    async def _applied(self, prior: Values | None, planned: Values | None, operation: Operation[Any]) -> Any:  # noqa: ANN401
        """Create, update or delete; the new state, or None."""
        resource, load = self.resource, self.schema.load
        if planned is None:
            before = load(prior or {})
            async with self._limit("delete", before):
                await resource.delete(before, operation)
            return None
        plan = load(planned)
        if prior is None:
            async with self._limit("create", plan):
                return await resource.create(plan, operation)
        async with self._limit("update", plan):
            return await resource.update(load(prior), plan, operation)

    def _stored(self, state: Any, planned: Values, found: list[Problem]) -> Values:  # noqa: ANN401 - it may be anything
        """A state as Terraform stores it. If the provider's is unusable, the plan says best what is there."""
        try:
            values = reconciled(self.schema, Members(self.schema).dump(state), planned)
        except WireError as error:
            found += diagnosed(error)
            values = planned
        if not found:
            found += unknown_problems(values)
        stored: Values = without_unknowns(values)
        return stored

    async def read(self, request: pb.ReadResource.Request) -> pb.ReadResource.Response:
        """See what has become of a resource."""
        state = values_of(self.schema, request.current_state)
        known = self.schema.load(state or {})
        operation = self.operation(request.private, request.current_identity, known)
        operation.deferral_allowed = request.client_capabilities.deferral_allowed
        try:
            async with self._limit("read", known):
                new = await self.resource.read(known, operation)
        except DeferredError as error:
            if not operation.deferral_allowed:
                raise
            reason = pb.Deferred.Reason.Name(error.reason.value)
            return pb.ReadResource.Response(new_state=request.current_state, deferred=pb.Deferred(reason=reason))
        values = None if new is None else reconciled(self.schema, self.schema.dump(new), state)
        refuse_unknown(values or {})
        return pb.ReadResource.Response(
            new_state=write(values, self.schema.type),
            private=private_bytes(operation.private),
            diagnostics=messages(operation.warnings, self.schema),
            new_identity=self.identity_message(values),
        )

    def operation(self, private: bytes, identity: pb.ResourceIdentityData, config: Model) -> Operation[Any]:
        """What the resource is told about an operation."""
        return Operation(
            config=config,
            identity=self._identity(identity),
            private=private_of(private),
            stopping=self.stopping,
        )

    def identity_message(self, values: Values | None) -> pb.ResourceIdentityData | None:
        """What identifies a state, if that is known."""
        if values is None or self.resource.identity is None:
            return None
        schema = schema_of(self.resource.identity)
        if type(self.resource).identify is Resource.identify:
            named = {name: values.get(name) for name in schema.attributes}
        else:
            identity = self.resource.identify(self.schema.load(values))
            named = schema.dump(identity) if identity is not None else {}
        is_known = not any(unknown_paths(named, Path())) and any(value is not None for value in named.values())
        return pb.ResourceIdentityData(identity_data=write(named, schema.type)) if is_known else None

    def _identity(self, message: pb.ResourceIdentityData) -> Any:  # noqa: ANN401 - the identity's model
        if self.resource.identity is None:
            return None
        schema = schema_of(self.resource.identity)
        values = read(message.identity_data, schema.type)
        return None if values is None else schema.load(values)

    @asynccontextmanager
    async def _limit(self, what: str, model: Any) -> AsyncIterator[None]:  # noqa: ANN401 - the resource's model
        """Bound an operation in time, as the user's `timeouts` block says."""
        block = getattr(model, self._timeouts) if self._timeouts else None
        given = getattr(block, what) if block else None
        limit = parse_duration(given) if given else getattr(self.resource.limits, what)
        try:
            async with asyncio.timeout(limit.total_seconds()) as scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            detail = (
                f"To {what} {self.resource.name} took longer than {limit}. Allow more time, or look what holds it up."
            )
            raise ProviderError("Time is over", detail) from None
