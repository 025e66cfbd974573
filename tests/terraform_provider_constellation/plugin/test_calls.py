# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of the protocol, without Terraform: above all those that only newer Terraforms make."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from grpclib.client import Channel
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError

from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.testing import reattached
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.unknown import UNKNOWN
from terraform_provider_constellation.plugin.wire.values import read, write
from tests.terraform_provider_constellation.plugin.zoo import (
    ADDRESS,
    Books,
    Cage,
    CageFilter,
    CageIdentity,
    Ticket,
    Zoo,
    ZooConfiguration,
)

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.api import Model
    from terraform_provider_constellation.plugin.service.provider import ProviderCalls

CAGE = "zoo_cage"
STORED = {"c1": {"name": "a", "climate": "dry", "labels": None, "revision": "7"}, "c2": {"name": "b", "climate": "wet"}}


def value(model: type[Model], **values: object) -> pb.DynamicValue:
    """An object of a model, null where nothing is said."""
    schema = schema_of(model)
    return write({name: values.get(name, item.empty) for name, item in schema.attributes.items()}, schema.type)


def identity(number: str) -> pb.ResourceIdentityData:
    return pb.ResourceIdentityData(identity_data=value(CageIdentity, id=number))


def state_of(message: pb.DynamicValue, model: type[Model] = Cage) -> Any:  # noqa: ANN401
    return read(message, schema_of(model).type)


def detail(response: Any) -> str:  # noqa: ANN401
    return " ".join(f"{item.summary}: {item.detail}" for item in response.diagnostics)


async def plan(calls: ProviderCalls, prior: pb.DynamicValue | None = None, **values: object) -> Any:  # noqa: ANN401
    config = value(Cage, **values)
    deferral = pb.ClientCapabilities(deferral_allowed=True)
    request = pb.PlanResourceChange.Request(
        type_name=CAGE, config=config, proposed_new_state=config, prior_state=prior, client_capabilities=deferral
    )
    return await calls.answer("PlanResourceChange", request)


async def test_metadata_says_everything_that_there_is(calls: ProviderCalls) -> None:
    metadata = await calls.answer("GetMetadata", pb.GetMetadata.Request())
    schema = await calls.answer("GetProviderSchema", pb.GetProviderSchema.Request())
    assert {item.type_name for item in metadata.resources} == set(schema.resource_schemas) == {CAGE}
    assert {item.type_name for item in metadata.data_sources} == set(schema.data_source_schemas)
    assert {item.type_name for item in metadata.ephemeral_resources} == set(schema.ephemeral_resource_schemas)
    assert {item.type_name for item in metadata.list_resources} == set(schema.list_resource_schemas)
    functions = await calls.answer("GetFunctions", pb.GetFunctions.Request())
    assert {item.name for item in metadata.functions} == set(schema.functions) == set(functions.functions)
    assert metadata.server_capabilities.move_resource_state


async def test_a_provider_configuration_computes_nothing(calls: ProviderCalls) -> None:
    schema = await calls.answer("GetProviderSchema", pb.GetProviderSchema.Request())
    assert not any(item.computed for item in schema.provider.block.attributes)


async def test_an_identity_is_known_once_the_state_is(calls: ProviderCalls) -> None:
    schemas = await calls.answer("GetResourceIdentitySchemas", pb.GetResourceIdentitySchemas.Request())
    assert schemas.identity_schemas[CAGE].identity_attributes[0].required_for_import
    planned = await plan(calls, name="a")
    assert not planned.HasField("planned_identity")
    request = pb.ApplyResourceChange.Request(
        type_name=CAGE, config=value(Cage, name="a"), planned_state=planned.planned_state
    )
    applied = await calls.answer("ApplyResourceChange", request)
    found = state_of(applied.new_identity.identity_data, CageIdentity)
    assert found == {"id": state_of(applied.new_state)["id"]}


async def test_import_by_identity(calls: ProviderCalls, books: Books) -> None:
    books.save(STORED)
    request = pb.ImportResourceState.Request(type_name=CAGE, identity=identity("c1"))
    (imported,) = (await calls.answer("ImportResourceState", request)).imported_resources
    assert state_of(imported.state)["id"] == "c1"
    assert state_of(imported.identity.identity_data, CageIdentity) == {"id": "c1"}


async def test_a_stored_identity_is_upgraded(calls: ProviderCalls) -> None:
    raw = pb.RawState(json=b'{"id": "c1"}')
    request = pb.UpgradeResourceIdentity.Request(type_name=CAGE, version=0, raw_identity=raw)
    upgraded = (await calls.answer("UpgradeResourceIdentity", request)).upgraded_identity
    assert state_of(upgraded.identity_data, CageIdentity) == {"id": "c1"}


@pytest.mark.parametrize("limit, climate, names", [(0, None, ["a", "b"]), (1, None, ["a"]), (0, "wet", ["b"])])
async def test_resources_are_listed(
    calls: ProviderCalls, books: Books, limit: int, climate: str | None, names: list[str]
) -> None:
    books.save(STORED)
    config = value(CageFilter, climate=climate)
    request = pb.ListResource.Request(type_name=CAGE, config=config, limit=limit, include_resource_object=True)
    events = [event async for event in calls.list_resource(request)]
    assert [event.display_name for event in events] == names
    assert [state_of(event.resource_object)["name"] for event in events] == names
    assert all(event.HasField("identity") for event in events)


async def test_a_list_that_fails_says_so(calls: ProviderCalls, books: Books) -> None:
    (books.folder / "zoo.json").write_text("[]", encoding="utf-8")
    request = pb.ListResource.Request(type_name=CAGE, config=value(CageFilter))
    (event,) = [event async for event in calls.list_resource(request)]
    assert event.diagnostic[0].summary == "The provider failed unexpectedly"


async def test_a_filter_is_validated(calls: ProviderCalls) -> None:
    request = pb.ValidateListResourceConfig.Request(type_name=CAGE, config=value(CageFilter, climate="dry"))
    assert not (await calls.answer("ValidateListResourceConfig", request)).diagnostics


async def test_a_plan_that_waits_for_something_else(calls: ProviderCalls) -> None:
    planned = await plan(calls, name="a", behaviour="deferred")
    assert planned.deferred.reason == pb.Deferred.ABSENT_PREREQ
    assert state_of(planned.planned_state)["name"] == "a"


async def test_ephemeral_resources_say_when_to_renew(calls: ProviderCalls, books: Books) -> None:
    request = pb.OpenEphemeralResource.Request(type_name="zoo_ticket", config=value(Ticket, visitor="ann"))
    opened = await calls.answer("OpenEphemeralResource", request)
    assert timedelta() < opened.renew_at.ToDatetime(UTC) - datetime.now(UTC) <= timedelta(hours=1)
    renewal = pb.RenewEphemeralResource.Request(type_name="zoo_ticket", private=opened.private)
    renewed = await calls.answer("RenewEphemeralResource", renewal)
    assert renewed.renew_at.ToDatetime(UTC) > opened.renew_at.ToDatetime(UTC)
    await calls.answer(
        "CloseEphemeralResource", pb.CloseEphemeralResource.Request(type_name="zoo_ticket", private=renewed.private)
    )
    assert (books.folder / "closed-ann").exists()


async def test_write_only_values_for_a_terraform_that_would_store_them(calls: ProviderCalls) -> None:
    request = pb.ValidateResourceConfig.Request(type_name=CAGE, config=value(Cage, name="a", code_wo="hush"))
    response = await calls.answer("ValidateResourceConfig", request)
    assert response.diagnostics[0].summary == "Write-only argument not supported"
    request.client_capabilities.write_only_attributes_allowed = True
    assert not (await calls.answer("ValidateResourceConfig", request)).diagnostics


@pytest.mark.parametrize(
    "raw, version, message",
    [
        (pb.RawState(json=b'{"id": "c1"}'), 3, "The state was written by a newer provider"),
        (pb.RawState(flatmap={"id": "c1"}), 2, "The state is too old"),
        (pb.RawState(json=b"[]"), 2, "The state cannot be read"),
        (pb.RawState(json=b"{"), 2, "Expected a JSON object."),
        (pb.RawState(json=b'{"labels": 5}'), 2, 'labels: expected ["map","string"], got int.'),
        (pb.RawState(json=b'{"extra": 5}'), 2, "extra: expected a type and a value of it."),
    ],
)
async def test_states_that_are_refused(calls: ProviderCalls, raw: pb.RawState, version: int, message: str) -> None:
    request = pb.UpgradeResourceState.Request(type_name=CAGE, version=version, raw_state=raw)
    assert message in detail(await calls.answer("UpgradeResourceState", request))


async def test_numbers_of_stored_states_stay_exact(calls: ProviderCalls) -> None:
    raw = pb.RawState(json=json.dumps({"size": [0.1, 1]}).encode())
    request = pb.UpgradeResourceState.Request(type_name=CAGE, version=2, raw_state=raw)
    upgraded = (await calls.answer("UpgradeResourceState", request)).upgraded_state
    assert msgpack.unpackb(upgraded.msgpack)["size"] == ["0.1", 1]


async def test_what_stays_unknown_after_an_apply_is_a_mistake(calls: ProviderCalls) -> None:
    star = {"name": "x", "legs": 4, "tag": "t", "toys": [UNKNOWN]}
    planned = value(Cage, name="a", climate="dry", star=star)
    request = pb.ApplyResourceChange.Request(type_name=CAGE, config=value(Cage, name="a"), planned_state=planned)
    response = await calls.answer("ApplyResourceChange", request)
    assert "these values must be known: star.toys[0]" in detail(response)


async def test_an_unknown_configuration_of_the_provider(calls: ProviderCalls) -> None:
    request = pb.ConfigureProvider.Request(config=value(ZooConfiguration, password=UNKNOWN))
    text = detail(await calls.answer("ConfigureProvider", request))
    assert text.startswith("A value is not known yet: ZooConfiguration.password is not known before apply.")


async def test_bytes_that_are_no_value(calls: ProviderCalls) -> None:
    request = pb.ReadResource.Request(type_name=CAGE, current_state=pb.DynamicValue(msgpack=b"\xc1"))
    assert "expected a value in msgpack" in detail(await calls.answer("ReadResource", request)).lower()


async def test_private_state_of_another_provider_is_none_of_ours(calls: ProviderCalls, books: Books) -> None:
    books.save(STORED)
    request = pb.ReadResource.Request(type_name=CAGE, current_state=value(Cage, id="c1"), private=b"\xff")
    assert not (await calls.answer("ReadResource", request)).private


async def streamed(path: str, call: str, request: Any) -> list[Any]:  # noqa: ANN401 - messages
    """All answers of a call, over the socket."""
    messages = getattr(pb, call)
    async with Channel(path=path) as channel:
        method = f"/tfplugin6.Provider/{call}"
        async with channel.request(method, Cardinality.UNARY_STREAM, messages.Request, messages.Event) as stream:
            await stream.send_message(request, end=True)
            return [event async for event in stream]


async def test_calls_over_the_socket_that_terraform_1_11_does_not_make(zoo: Zoo, books: Books) -> None:
    books.save(STORED)
    with reattached(zoo, address=ADDRESS) as environment:
        path = json.loads(environment["TF_REATTACH_PROVIDERS"])[ADDRESS]["Addr"]["String"]
        request = pb.ListResource.Request(type_name=CAGE, config=value(CageFilter))
        assert [event.display_name for event in await streamed(path, "ListResource", request)] == ["a", "b"]
        with pytest.raises(GRPCError) as caught:
            await streamed(path, "InvokeAction", pb.InvokeAction.Request())
    assert caught.value.status is Status.UNIMPLEMENTED
