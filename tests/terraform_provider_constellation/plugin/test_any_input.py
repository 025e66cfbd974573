# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever comes, only errors of our own tree come out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraform_provider_constellation.plugin.errors import PluginError, Problem, ProviderError, Severity
from terraform_provider_constellation.plugin.schema.timeouts import parse_duration
from terraform_provider_constellation.plugin.service.diagnostics import diagnosed, messages
from terraform_provider_constellation.plugin.service.provider import ProviderCalls
from terraform_provider_constellation.plugin.service.requests import private_bytes, private_of, stored
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.paths import Path
from tests.terraform_provider_constellation.plugin.zoo import Zoo

CALLS = ["ValidateResourceConfig", "PlanResourceChange", "ApplyResourceChange", "ReadResource", "UpgradeResourceState"]
PIECES = st.sampled_from(["a", ".", "[", "]", "0", '"', "\\", "k", " ", "é"])


@pytest.fixture(scope="module")
def some_calls(tmp_path_factory: pytest.TempPathFactory) -> ProviderCalls:
    """One provider for all examples."""
    zoo = Zoo()
    zoo.books.folder = tmp_path_factory.mktemp("zoo")
    return ProviderCalls(zoo)


@given(st.text() | st.lists(PIECES).map("".join))
def test_any_text_is_a_path_or_none(text: str) -> None:
    try:
        assert Path.parse(str(Path.parse(text))) == Path.parse(text)
    except ValueError:
        return


@given(st.text() | st.lists(st.sampled_from(["1", "h", "m", "ms", "s", ".", "-", "0", " "])).map("".join))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    try:
        assert parse_duration(text).total_seconds() > 0
    except ValueError:
        return


@given(st.binary())
def test_any_bytes_are_private_state_or_nothing(data: bytes) -> None:
    assert private_of(private_bytes(private_of(data))) == private_of(data)


@given(st.binary())
def test_any_bytes_are_a_stored_state_or_refused(data: bytes) -> None:
    try:
        assert isinstance(stored(pb.RawState(json=data)), dict)
    except ProviderError:
        return


@pytest.mark.parametrize("call", CALLS)
@given(data=st.binary(max_size=60))
async def test_any_bytes_in_a_request_have_an_answer(some_calls: ProviderCalls, call: str, data: bytes) -> None:
    value = {field: pb.DynamicValue(msgpack=data) for field in _values_of(call)}
    request = getattr(pb, call).Request(type_name="zoo_cage", **value)
    response = await some_calls.answer(call, request)
    assert isinstance(response, getattr(pb, call).Response)
    assert "Traceback" not in str(response.diagnostics)


def _values_of(call: str) -> list[str]:
    fields = getattr(pb, call).Request.DESCRIPTOR.fields
    return [field.name for field in fields if field.message_type and field.message_type.name == "DynamicValue"]


@given(st.from_type(type).filter(lambda kind: issubclass(kind, Exception)) | st.just(PluginError), st.text())
def test_any_exception_has_a_message(kind: type[Any], text: str) -> None:
    try:
        error = kind(text)
    except Exception:  # noqa: BLE001 - it wants other arguments
        return
    (message,) = messages(diagnosed(error))
    assert message.summary


def test_problems_go_over_the_wire() -> None:
    (message,) = messages([Problem("Summary", "Detail.", "a[0]", Severity.WARNING)])
    assert (message.summary, message.detail, len(message.attribute.steps)) == ("Summary", "Detail.", 2)
    assert message.severity == pb.Diagnostic.WARNING
