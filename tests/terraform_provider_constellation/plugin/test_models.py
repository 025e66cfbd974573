# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Models in the hands of a provider's author."""

from __future__ import annotations

import copy
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from terraform_provider_constellation.plugin.api import (
    Between,
    Length,
    Matches,
    Model,
    OneOf,
    SetOf,
    UnknownValueError,
    computed,
    is_known,
    optional,
    replaced,
    required,
    set_unknown,
    unique,
)
from terraform_provider_constellation.plugin.errors import WireError
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.schema.timeouts import duration, parse_duration
from terraform_provider_constellation.plugin.wire.types import Primitive, Typed
from terraform_provider_constellation.plugin.wire.unknown import UNKNOWN, refined

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.schema.fields import Validator


class Colour(StrEnum):
    RED = "red"


class Part(Model):
    """A part."""

    name: str = required()
    weight: float = optional(default=0.5)


class Thing(Model):
    """A thing."""

    id: str = computed()
    count: int = required()
    colour: Colour = required()
    secret: str | None = optional(sensitive=True)
    parts: list[Part] | None = optional()
    tags: SetOf[str] | None = optional()
    extra: Any = optional()


RAW: dict[str, Any] = {
    "id": UNKNOWN,
    "count": 2,
    "colour": "red",
    "secret": "hush",
    "parts": [{"name": "a", "weight": UNKNOWN}],
    "tags": ["x", "y"],
    "extra": Typed(Primitive.STRING, "e"),
}


@pytest.fixture
def thing() -> Thing:
    loaded = schema_of(Thing).load(RAW)
    assert isinstance(loaded, Thing)
    return loaded


def test_values_are_what_their_annotations_say(thing: Thing) -> None:
    assert thing.count == 2
    assert thing.colour is Colour.RED
    assert thing.parts is not None
    assert thing.parts[0].name == "a"
    assert thing.tags == SetOf(["y", "x"])
    assert thing.extra == "e"


def test_an_untouched_model_goes_back_as_it_came(thing: Thing) -> None:
    assert schema_of(Thing).dump(thing) == RAW


def test_what_is_unknown_cannot_be_read(thing: Thing) -> None:
    with pytest.raises(UnknownValueError, match=r"Thing\.id is not known before apply"):
        _ = thing.id
    assert not is_known(thing, "id")
    thing.id = "known"
    assert is_known(thing, "id")


def test_an_unknown_element_makes_a_list_unknown_and_no_object() -> None:
    loaded: Any = schema_of(Thing).load(RAW | {"tags": ["x", UNKNOWN]})
    with pytest.raises(UnknownValueError):
        _ = loaded.tags
    assert is_known(loaded, "parts")
    assert not is_known(loaded.parts[0], "weight")


def test_a_value_can_be_planned_as_unknown(thing: Thing) -> None:
    set_unknown(thing, "secret", prefix="key-")
    assert schema_of(Thing).dump(thing)["secret"] == refined(prefix="key-")


def test_a_copy_with_changes(thing: Thing) -> None:
    other = replaced(thing, count=3)
    assert (other.count, thing.count) == (3, 2)
    with pytest.raises(TypeError, match="has no attribute colur"):
        replaced(thing, colur="blue")


def test_secrets_and_unknowns_are_not_shown(thing: Thing) -> None:
    assert repr(thing).startswith("Thing(id=<known after apply>, count=2, colour=<Colour.RED")
    assert "secret=<sensitive>" in repr(thing)


def test_models_are_compared_by_value(thing: Thing) -> None:
    assert copy.deepcopy(thing) == thing
    assert replaced(thing, count=3) != thing
    assert Part(name="a") != Thing()


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("count", "2", "count: expected a whole number, got str"),
        ("count", 1.5, "count: expected a whole number, got float"),
        ("count", True, "count: expected a whole number, got bool"),
        ("colour", "green", "colour: expected one of red, got str"),
        ("secret", 5, "secret: expected text, got int"),
        ("parts", "ab", "parts: expected a list, got str"),
        ("parts", [Thing()], "parts: expected Part, got Thing"),
        ("extra", object(), "extra: expected a value that Terraform has a type for, got object"),
    ],
)
def test_a_value_of_another_kind_is_named_and_not_shown(thing: Thing, name: str, value: object, message: str) -> None:
    setattr(thing, name, value)
    with pytest.raises(WireError) as caught:
        schema_of(Thing).dump(thing)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "validator, good, bad, expected",
    [
        (Between(1, 3), 3, 4, "1 to 3"),
        (Between(least=1), 9, 0, "at least 1"),
        (Between(most=1), 0, 2, "at most 1"),
        (Length(2, 3), "ab", "a", "2 to 3 characters"),
        (Length(most=1), ["a"], ["a", "b"], "at most 1 elements"),
        (Matches("a+", "many a"), "aa", "aab", "many a"),
        (OneOf((1, 2)), 1, 3, "one of 1, 2"),
        (unique, [1, 2], [1, 2, 1], "every element once"),
        (duration, "1h30m", "1 h", "a duration such as 1h30m"),
    ],
    ids=lambda value: str(value) if not callable(value) else "",
)
def test_validators_say_what_they_expected(validator: Validator, good: object, bad: object, expected: str) -> None:
    assert validator(good) is None
    assert validator(bad) == expected


def test_durations() -> None:
    assert parse_duration("1h30m") == timedelta(minutes=90)
    assert parse_duration("1.5s250ms") == timedelta(milliseconds=1750)


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1d", "1h ", "0s", "9" * 400 + "h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)
