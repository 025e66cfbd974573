# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a resource may say about plans, deletions, reads and its identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from terraform_provider_constellation.plugin.api import (
    Call,
    Change,
    DataSource,
    DeferralReason,
    DeferredError,
    Model,
    Operation,
    Problem,
    Provider,
    ProviderError,
    Resource,
    Severity,
    StoppedError,
    computed,
    optional,
    required,
    rule,
    set_unknown,
)
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.service.provider import ProviderCalls
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.unknown import refined
from terraform_provider_constellation.plugin.wire.values import read, write

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFERRAL = pb.ClientCapabilities(deferral_allowed=True)


class Lamp(Model):
    """A lamp."""

    name: str = required()
    colour: str = optional(default="white")
    address: str = computed()

    @rule
    def red_is_old_fashioned(self) -> Iterator[Problem]:
        if self.colour == "red":
            yield Problem("Old-fashioned", at="colour", severity=Severity.WARNING)


class LampIdentity(Model):
    """What a lamp is known by."""

    serial: str = required()


class Lamps(Resource[Lamp]):
    name = "house_lamp"
    identity: ClassVar[type[Model] | None] = LampIdentity

    async def plan(self, change: Change[Lamp]) -> None:
        set_unknown(change.planned, "address", prefix="lamp://")
        change.private["planned"] = True
        if not change.is_create:
            change.replace("colour")
            change.warn("A new lamp will be bought", at="colour")

    async def plan_delete(self, state: Lamp, call: Call) -> None:
        if state.name == "precious":
            raise ProviderError("This lamp stays", at="name")
        call.warn("It will be dark")

    async def read(self, state: Lamp, call: Operation[Lamp]) -> Lamp | None:
        if state.name == "waiting":
            raise DeferredError("no electricity", reason=DeferralReason.PROVIDER_CONFIGURATION_UNKNOWN)
        call.private["read"] = call.private.get("read", 0) + 1
        call.raise_if_stopped()
        return state

    async def import_state(self, id_: str, call: Operation[Lamp]) -> Lamp:
        del call
        raise DeferredError(f"{id_} is not delivered yet")

    def identify(self, state: Lamp) -> LampIdentity:
        return LampIdentity(serial=f"serial-{state.name}")


class LampCount(DataSource[Lamp]):
    name = "house_lamps"

    async def read(self, config: Lamp, call: Call) -> Lamp:
        del config, call
        raise DeferredError("nobody has counted")


class House(Provider[Model]):
    name = "house"
    resources = (Lamps(),)
    data_sources = (LampCount(),)


@pytest.fixture
def calls() -> ProviderCalls:
    return ProviderCalls(House())


def lamp(**values: object) -> pb.DynamicValue:
    return write({"name": "l", "colour": None, "address": None} | values, schema_of(Lamp).type)


async def planned(
    calls: ProviderCalls, prior_state: pb.DynamicValue | None = None, proposal: pb.DynamicValue | None = None
) -> Any:  # noqa: ANN401 - a message
    request = pb.PlanResourceChange.Request(
        type_name="house_lamp", config=lamp(), prior_state=prior_state, proposed_new_state=proposal or lamp()
    )
    return await calls.answer("PlanResourceChange", request)


async def looked_at(calls: ProviderCalls, name: str, *, private: bytes = b"", deferral: bool = False) -> Any:  # noqa: ANN401
    request = pb.ReadResource.Request(type_name="house_lamp", current_state=lamp(name=name), private=private)
    request.client_capabilities.deferral_allowed = deferral
    return await calls.answer("ReadResource", request)


async def test_a_plan_can_promise_something_about_the_unknown(calls: ProviderCalls) -> None:
    response = await planned(calls)
    values = read(response.planned_state, schema_of(Lamp).type)
    assert values == {"name": "l", "colour": "white", "address": refined(prefix="lamp://")}
    assert response.planned_private == b'{"planned":true}'


async def test_a_plan_can_replace_and_warn(calls: ProviderCalls) -> None:
    response = await planned(calls, prior_state=lamp(colour="green", address="x"))
    assert [path.steps[0].attribute_name for path in response.requires_replace] == ["colour"]
    (warning,) = response.diagnostics
    assert (warning.severity, warning.summary) == (pb.Diagnostic.WARNING, "A new lamp will be bought")


async def test_a_deletion_can_be_warned_of_and_refused(calls: ProviderCalls) -> None:
    nothing = write(None, schema_of(Lamp).type)
    warned = await planned(calls, prior_state=lamp(), proposal=nothing)
    assert warned.diagnostics[0].summary == "It will be dark"
    refused = await planned(calls, prior_state=lamp(name="precious"), proposal=nothing)
    assert refused.diagnostics[0].severity == pb.Diagnostic.ERROR
    assert refused.diagnostics[0].attribute.steps[0].attribute_name == "name"


async def test_a_rule_can_warn(calls: ProviderCalls) -> None:
    request = pb.ValidateResourceConfig.Request(type_name="house_lamp", config=lamp(colour="red"))
    (warning,) = (await calls.answer("ValidateResourceConfig", request)).diagnostics
    assert warning.severity == pb.Diagnostic.WARNING


async def test_private_state_and_identity_survive_a_read(calls: ProviderCalls) -> None:
    response = await looked_at(calls, "l", private=b'{"read":1}')
    assert response.private == b'{"read":2}'
    identity = read(response.new_identity.identity_data, schema_of(LampIdentity).type)
    assert identity == {"serial": "serial-l"}


async def test_deferral_is_an_answer_to_those_who_know_it(calls: ProviderCalls) -> None:
    assert (await looked_at(calls, "waiting", deferral=True)).deferred.reason == pb.Deferred.PROVIDER_CONFIG_UNKNOWN
    imported = await calls.answer(
        "ImportResourceState",
        pb.ImportResourceState.Request(type_name="house_lamp", id="x", client_capabilities=DEFERRAL),
    )
    assert imported.deferred.reason == pb.Deferred.ABSENT_PREREQ
    request = pb.ReadDataSource.Request(type_name="house_lamps", config=lamp(), client_capabilities=DEFERRAL)
    assert (await calls.answer("ReadDataSource", request)).deferred.reason == pb.Deferred.ABSENT_PREREQ


async def test_deferral_is_an_error_to_others(calls: ProviderCalls) -> None:
    assert "No electricity." in (await looked_at(calls, "waiting")).diagnostics[0].detail
    for call, request in {
        "ImportResourceState": pb.ImportResourceState.Request(type_name="house_lamp", id="x"),
        "ReadDataSource": pb.ReadDataSource.Request(type_name="house_lamps", config=lamp()),
    }.items():
        assert (await calls.answer(call, request)).diagnostics[0].summary == "This cannot be planned yet"


async def test_after_a_stop_long_operations_can_end(calls: ProviderCalls) -> None:
    await calls.answer("StopProvider", pb.StopProvider.Request())
    response = await looked_at(calls, "l")
    assert response.diagnostics[0].summary == "Stopped"
    with pytest.raises(StoppedError):
        Call(stopping=calls.stopping).raise_if_stopped()


async def test_a_resource_that_cannot_be_changed_moved_or_imported(calls: ProviderCalls) -> None:
    update = pb.ApplyResourceChange.Request(
        type_name="house_lamp", prior_state=lamp(), planned_state=lamp(colour="red"), config=lamp(colour="red")
    )
    response = await calls.answer("ApplyResourceChange", update)
    assert response.diagnostics[0].summary == "house_lamp cannot be changed"
    assert response.new_state == lamp()
    state = pb.RawState(json=b"{}")
    move = pb.MoveResourceState.Request(source_type_name="x_y", target_type_name="house_lamp", source_state=state)
    assert (await calls.answer("MoveResourceState", move)).diagnostics[0].summary == "x_y cannot become house_lamp"


def test_a_path_that_is_none_is_found_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="expected a path"):
        ProviderError("Summary", at="a..b")
