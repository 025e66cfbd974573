# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Types, values, unknowns and paths on the wire: what is written is read again, and bad bytes are refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terraform_provider_constellation.plugin.errors import UnknownValueError, WireError
from terraform_provider_constellation.plugin.service.diagnostics import path_message
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.paths import Key, Path
from terraform_provider_constellation.plugin.wire.types import (
    Collection,
    CollectionKind,
    Object,
    Primitive,
    Tuple,
    Type,
    Typed,
    infer,
    notation,
    parse,
)
from terraform_provider_constellation.plugin.wire.unknown import UNKNOWN, Unknown, refined
from terraform_provider_constellation.plugin.wire.values import from_json, number, read, write

NAMES = st.from_regex("[a-z_]{1,4}", fullmatch=True)
SCALARS = st.sampled_from([Primitive.STRING, Primitive.NUMBER, Primitive.BOOL])


def containers(element: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    collections = st.builds(Collection, st.sampled_from(CollectionKind), element)
    tuples = st.builds(Tuple, st.lists(element, max_size=3).map(tuple))
    return collections | tuples | st.builds(Object, st.dictionaries(NAMES, element, max_size=3))


TYPES: st.SearchStrategy[Type] = st.recursive(SCALARS, containers, max_leaves=5)
NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3).map(number)


def values(type_: Type) -> st.SearchStrategy[Any]:
    """Values of a type, nulls and unknowns among them."""
    match type_:
        case Primitive.STRING:
            known: st.SearchStrategy[Any] = st.text()
        case Primitive.NUMBER:
            known = NUMBERS
        case Primitive.BOOL:
            known = st.booleans()
        case Collection(CollectionKind.MAP, element):
            known = st.dictionaries(st.text(), values(element), max_size=3)
        case Collection(_, element):
            known = st.lists(values(element), max_size=3)
        case Tuple(elements):
            known = st.tuples(*map(values, elements)).map(list)
        case Object(attributes):
            known = st.fixed_dictionaries({name: values(item) for name, item in attributes.items()})
        case _:
            raise AssertionError(type_)
    return known | st.none() | st.sampled_from([UNKNOWN, refined(not_null=True), refined(prefix="x")])


@given(TYPES.flatmap(lambda type_: st.tuples(st.just(type_), values(type_))))
def test_what_is_written_is_read_again(pair: tuple[Type, Any]) -> None:
    type_, value = pair
    assert read(write(value, type_), type_) == value
    if value is not None and not isinstance(value, Unknown):
        typed = Typed(type_, value)
        assert read(write(typed, Primitive.DYNAMIC), Primitive.DYNAMIC) == typed


@given(TYPES)
def test_types_are_read_again(type_: Type) -> None:
    assert parse(json.loads(json.dumps(notation(type_)))) == type_


@given(st.binary(), TYPES | st.just(Primitive.DYNAMIC))
def test_any_bytes_are_a_value_or_refused(data: bytes, type_: Type) -> None:
    for message in (pb.DynamicValue(msgpack=data), pb.DynamicValue(json=data)):
        try:
            read(message, type_)
        except WireError:
            continue


@given(TYPES.flatmap(lambda type_: st.tuples(st.just(type_), values(type_))), st.data())
def test_damaged_values_are_values_or_refused(pair: tuple[Type, Any], data: st.DataObject) -> None:
    type_, value = pair
    whole = bytearray(write(value, type_).msgpack)
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    for damaged in (whole, whole[:position], whole + b"\xc0"):
        try:
            read(pb.DynamicValue(msgpack=bytes(damaged)), type_)
        except WireError:
            continue


JSON = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(JSON | st.lists(st.sampled_from(["list", "object", "tuple", "string"]) | JSON, max_size=3))
def test_any_json_is_a_type_or_refused(noted: object) -> None:
    try:
        assert isinstance(parse(noted), Type)
    except WireError:
        return


def test_numbers_stay_what_the_user_wrote() -> None:
    assert write(Decimal("0.1"), Primitive.NUMBER).msgpack == msgpack.packb("0.1")
    assert write(1 << 64, Primitive.NUMBER).msgpack == msgpack.packb(str(1 << 64))
    assert read(pb.DynamicValue(msgpack=msgpack.packb("2.0")), Primitive.NUMBER) == 2
    assert read(pb.DynamicValue(msgpack=msgpack.packb(0.5)), Primitive.NUMBER) == Decimal("0.5")


@pytest.mark.parametrize("loose", ["NaN", "Infinity", "x", "", True, None, [], float("nan"), float("inf")])
def test_what_is_no_number(loose: object) -> None:
    assert number(loose) is None


@pytest.mark.parametrize(
    "value, type_, where",
    [
        ({"a": [1, "x"]}, Object({"a": Collection(CollectionKind.LIST, Primitive.NUMBER)}), 'a[1]: expected "number"'),
        ({"b": 1}, Object({"a": Primitive.NUMBER}), 'value: expected ["object"'),
        ({"k": 1}, Collection(CollectionKind.MAP, Primitive.STRING), '["k"]: expected "string"'),
        ([1], Tuple((Primitive.NUMBER, Primitive.NUMBER)), "value: expected"),
    ],
)
def test_a_value_of_another_type_is_named_and_not_shown(value: object, type_: Type, where: str) -> None:
    with pytest.raises(WireError) as caught:
        write(value, type_)
    assert where in str(caught.value)


def test_stored_dynamic_values_carry_their_type() -> None:
    stored = {"type": ["list", "string"], "value": ["x"]}
    assert from_json(stored, Primitive.DYNAMIC) == Typed(Collection(CollectionKind.LIST, Primitive.STRING), ["x"])


def test_refinements_go_back_as_they_came() -> None:
    payload = msgpack.packb({1: False, 3: [5, True]})
    came = pb.DynamicValue(msgpack=msgpack.packb(msgpack.ExtType(12, payload)))
    assert write(read(came, Primitive.NUMBER), Primitive.NUMBER) == came


def test_every_extension_is_unknown() -> None:
    assert read(pb.DynamicValue(msgpack=msgpack.packb(msgpack.ExtType(77, b"what"))), Primitive.STRING) == UNKNOWN


def test_an_unknown_value_is_neither_true_nor_false() -> None:
    with pytest.raises(UnknownValueError):
        bool(UNKNOWN)


def test_types_of_written_out_values() -> None:
    assert infer({"a": [1, "x"]}) == Object({"a": Tuple((Primitive.NUMBER, Primitive.STRING))})
    with pytest.raises(WireError):
        infer(object())


STEPS = st.lists(NAMES | st.integers(0, 9) | st.text().map(Key), max_size=4)


@given(NAMES, STEPS)
def test_paths_are_read_again(first: str, rest: list[str | int | Key]) -> None:
    path = Path((first, *rest))
    assert Path.parse(str(path)) == path
    assert [type(step) for step in Path.parse(str(path)).steps] == [type(step) for step in path.steps]


@pytest.mark.parametrize("text", [".", "a.", "a..b", "[x]", "a[", "a b", "a[-1]", 'a["x]', ".a", "aé[", "a[0]b"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="expected a path"):
        Path.parse(text)


def test_a_path_on_the_wire() -> None:
    steps = path_message(Path.parse('a[1]["k"]')).steps
    assert [step.WhichOneof("selector") for step in steps] == [
        "attribute_name",
        "element_key_int",
        "element_key_string",
    ]
