# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a state must keep of what Terraform knows already.

A provider may say the same in other words: 0.1 as a `float`, a tuple for a set, JSON with other spaces. Terraform would
call that an inconsistent result, or show it as drift. Where two values mean the same, the one that it knows stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.planning.equality import equal
from terraform_provider_constellation.plugin.schema.kinds import load
from terraform_provider_constellation.plugin.schema.objects import Nesting
from terraform_provider_constellation.plugin.wire.types import Typed
from terraform_provider_constellation.plugin.wire.unknown import Unknown

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.schema.objects import Attribute, ObjectSchema
    from terraform_provider_constellation.plugin.wire.types import Value


def reconciled(schema: ObjectSchema, new: dict[str, Value], known: Value) -> dict[str, Value]:
    """A new state in the words of the one that Terraform knows, and without what must not be stored.

    Args:
        schema: of the resource.
        new: what the provider returned.
        known: the plan, or the state before; None if there was none.
    """
    before = known if isinstance(known, dict) else {}
    return {name: _attribute(item, new.get(name), before.get(name)) for name, item in schema.attributes.items()}


def _attribute(attribute: Attribute, new: Value, known: Value) -> Value:
    if attribute.field.write_only:
        return None
    if new is None or isinstance(new, Unknown):
        return new
    if attribute.nested is None:
        return known if _means_the_same(attribute, new, known) else new
    return _elements(attribute, attribute.nested, new, known)


def _elements(attribute: Attribute, nested: ObjectSchema, new: Value, known: Value) -> Value:
    match attribute.nesting:
        case Nesting.SINGLE:
            return reconciled(nested, new, known)
        case Nesting.MAP:
            befores = known if isinstance(known, dict) else {}
            return {key: _element(nested, item, befores.get(key)) for key, item in new.items()}
        case Nesting.LIST:
            items = known if isinstance(known, list) else []
            return [
                _element(nested, item, items[index] if index < len(items) else None) for index, item in enumerate(new)
            ]
        case Nesting.SET:
            candidates = list(known) if isinstance(known, list) else []
            return [_set_element(nested, item, candidates) for item in new]


def _element(nested: ObjectSchema, new: Value, known: Value) -> Value:
    return reconciled(nested, new, known) if isinstance(new, dict) else new


def _set_element(nested: ObjectSchema, new: Value, candidates: list[Value]) -> Value:
    """In the words of whichever known element means the same."""
    for known in candidates:
        attempt = _element(nested, new, known)
        if equal(attempt, known, nested.type):
            return known
    return _element(nested, new, None)


def _means_the_same(attribute: Attribute, new: Value, known: Value) -> bool:
    if known is None or isinstance(known, Unknown):
        return False
    one, other = load(attribute.kind, new), load(attribute.kind, known)
    if isinstance(one, Typed) and isinstance(other, Typed):
        return bool(one.value == other.value)
    same = attribute.field.same
    return bool(one == other) or (same is not None and same(one, other))
