# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Values on the wire: msgpack in requests and answers, JSON in stored states.

Numbers of Terraform have any precision: whole ones are `int` here and others `Decimal`, never `float`, so that 0.1
stays 0.1. Any bytes may be given to the readers; WireError is all that comes out of bad ones. Source:
object-wire-format.md.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import msgpack

from terraform_provider_constellation.plugin.errors import WireError
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.paths import Key, Path, Step
from terraform_provider_constellation.plugin.wire.types import (
    Collection,
    CollectionKind,
    Object,
    Primitive,
    Tuple,
    Type,
    Typed,
    Value,
    parse,
    to_bytes,
)
from terraform_provider_constellation.plugin.wire.unknown import REFINED_CODE, UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

_SMALLEST, _LARGEST = -(1 << 63), (1 << 64) - 1  # whole numbers that msgpack has a form for
_MOST_DIGITS: Final = 10_000  # of a whole number: beyond, turning text into a number takes noticeable time
Trail = tuple["Trail", Step] | None
"""Where we are: the trail of the container, and the last step. A path is made of it only where something is wrong."""

_BAD_BYTES: Final = (ValueError, TypeError, RecursionError, msgpack.UnpackException)


def read(message: pb.DynamicValue, type_: Type) -> Value:
    """Read a value of a request.

    Raises:
        WireError: it is not of this type.
    """
    try:
        if message.json:
            return from_json(json.loads(message.json, parse_float=Decimal), type_)
        if not message.msgpack:
            return None
        loose = msgpack.unpackb(message.msgpack, ext_hook=_unknown, strict_map_key=False)
        return _Reader(_dynamic_pair).read(loose, type_, None)
    except _BAD_BYTES as error:
        raise WireError(f"expected a value in msgpack or JSON: {error}") from error


def from_json(loose: object, type_: Type) -> Value:
    """Read a value of a stored state, whose JSON has been parsed.

    Raises:
        WireError: it is not of this type.
    """
    return _Reader(_dynamic_object).read(loose, type_, None)


def write(value: Value, type_: Type) -> pb.DynamicValue:
    """Write a value of an answer.

    Raises:
        WireError: it is not of this type; the message says where.
    """
    return pb.DynamicValue(msgpack=msgpack.packb(_loosen(value, type_, None), default=_extension))


def number(loose: Any) -> int | Decimal | None:  # noqa: ANN401 - whatever came
    """A number in any of its forms, or None if it is none."""
    try:
        exact = loose if isinstance(loose, int) else Decimal(loose)
    except (InvalidOperation, TypeError, ValueError):
        return None
    if isinstance(loose, bool) or not (isinstance(exact, int) or exact.is_finite()):
        return None
    is_whole = isinstance(exact, int) or (exact.adjusted() < _MOST_DIGITS and exact == exact.to_integral_value())
    return int(exact) if is_whole else exact


class _Reader:
    """Tighten what msgpack or JSON gave to values of a type; the two differ in dynamic values only."""

    def __init__(self, dynamic: Callable[[object, Trail], tuple[object, object]]) -> None:
        self._dynamic = dynamic

    def read(self, loose: Any, type_: Type, trail: Trail) -> Value:  # noqa: ANN401, PLR0911 - whatever came; a table
        if loose is None or isinstance(loose, Unknown):
            return loose
        match type_:
            case Primitive.DYNAMIC:
                noted, inner = self._dynamic(loose, trail)
                actual = parse(noted)
                return None if inner is None else Typed(actual, self.read(inner, actual, trail))
            case Primitive.NUMBER if (exact := number(loose)) is not None:
                return exact
            case Primitive.STRING if isinstance(loose, str):
                return loose
            case Primitive.BOOL if isinstance(loose, bool):
                return loose
            case Collection(CollectionKind.MAP, element) if isinstance(loose, dict):
                return {_text(key, trail): self.read(item, element, (trail, Key(key))) for key, item in loose.items()}
            case Collection(_, element) if isinstance(loose, list):
                return [self.read(item, element, (trail, index)) for index, item in enumerate(loose)]
            case Tuple(elements) if isinstance(loose, list) and len(loose) == len(elements):
                pairs = enumerate(zip(loose, elements, strict=True))
                return [self.read(item, element, (trail, index)) for index, (item, element) in pairs]
            case Object(attributes) if isinstance(loose, dict):
                return {name: self.read(loose.get(name), item, (trail, name)) for name, item in attributes.items()}
        raise _mismatch(loose, type_, trail)


def _loosen(value: Value, type_: Type, trail: Trail) -> Value:  # noqa: PLR0911 - a table: one line for each type
    """What msgpack turns into the value's form on the wire."""
    if value is None or isinstance(value, Unknown):
        return value
    match type_:
        case Primitive.DYNAMIC if isinstance(value, Typed):
            return [to_bytes(value.type), _loosen(value.value, value.type, trail)]
        case Primitive.NUMBER if not isinstance(value, str) and (exact := number(value)) is not None:
            return exact if isinstance(exact, int) and _SMALLEST <= exact <= _LARGEST else str(exact)
        case Primitive.STRING if isinstance(value, str):
            return str(value)
        case Primitive.BOOL if isinstance(value, bool):
            return value
        case Collection(CollectionKind.MAP, element) if isinstance(value, dict):
            return {_text(key, trail): _loosen(item, element, (trail, Key(key))) for key, item in value.items()}
        case Collection(_, element) if isinstance(value, list):
            return [_loosen(item, element, (trail, index)) for index, item in enumerate(value)]
        case Tuple(elements) if isinstance(value, list) and len(value) == len(elements):
            pairs = enumerate(zip(value, elements, strict=True))
            return [_loosen(item, element, (trail, index)) for index, (item, element) in pairs]
        case Object(attributes) if isinstance(value, dict) and value.keys() <= attributes.keys():
            return {name: _loosen(value.get(name), item, (trail, name)) for name, item in attributes.items()}
    raise _mismatch(value, type_, trail)


def _mismatch(value: object, type_: Type, trail: Trail) -> WireError:
    """Say what kind of value came, and not the value: it may be secret."""
    what = to_bytes(type_).decode()
    return WireError(f"{_where(trail)}: expected {what}, got {type(value).__name__}")


def _where(trail: Trail) -> str:
    steps: list[Step] = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return str(Path(tuple(reversed(steps)))) or "value"


def _text(key: object, trail: Trail) -> str:
    if not isinstance(key, str):
        raise WireError(f"{_where(trail)}: expected keys that are text, got {type(key).__name__}")
    return key


def _unknown(code: int, data: bytes) -> Unknown:
    """Every extension is an unknown value; one kind of them says more (object-wire-format.md)."""
    return Unknown(data) if code == REFINED_CODE and len(data) > 1 else UNKNOWN


def _extension(value: object) -> msgpack.ExtType:
    if isinstance(value, Unknown):
        return value.to_extension()
    raise WireError(f"expected a value that msgpack has a form for, got {type(value).__name__}")


def _dynamic_pair(loose: object, trail: Trail) -> tuple[object, object]:
    match loose:
        case [bytes() as noted, value]:
            return json.loads(noted), value
    raise WireError(f"{_where(trail)}: expected a type and a value of it")


def _dynamic_object(loose: object, trail: Trail) -> tuple[object, object]:
    match loose:
        case {"type": noted, "value": value}:
            return noted, value
    raise WireError(f"{_where(trail)}: expected a type and a value of it")
