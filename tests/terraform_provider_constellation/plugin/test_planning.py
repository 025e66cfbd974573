# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""From configuration and prior state to the plan, without Terraform."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from terraform_provider_constellation.plugin.api import (
    Model,
    ProviderError,
    SetOf,
    ValueChange,
    block,
    computed,
    keep,
    optional,
    replace,
    replace_when,
    required,
)
from terraform_provider_constellation.plugin.planning.merge import merge
from terraform_provider_constellation.plugin.planning.promises import reconciled
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.wire.types import Primitive, Typed, infer
from terraform_provider_constellation.plugin.wire.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable


def upper(change: ValueChange) -> None:
    """A modifier of an author."""
    if change.config is None:
        change.planned = "UPPER"


def same_json(one: str, other: str) -> bool:
    return bool(json.loads(one) == json.loads(other))


class Item(Model):
    """An item."""

    key: str = required(plan=[replace])
    size: float = optional(default=0.1)
    serial: str = computed(plan=[keep])


class Thing(Model):
    """A thing."""

    id: str = computed(plan=[keep])
    revision: str = computed()
    name: str = required(plan=[replace])
    disk: int = optional(default=10, plan=[replace_when(lambda old, new: new < old)])
    label: str = optional(computed=True, plan=[upper])
    document: str | None = optional(same=same_json)
    secret_wo: str | None = optional(write_only=True)
    items: list[Item] | None = optional()
    bag: SetOf[Item] | None = optional()
    map: dict[str, Item] | None = optional()
    one: Item | None = optional()
    extra: Any = optional()
    bolts: SetOf[Item] = block()


SCHEMA = schema_of(Thing)
EMPTY: dict[str, Any] = dict.fromkeys(SCHEMA.attributes) | {"bolts": []}
CREATED = EMPTY | {"id": "1", "revision": "1", "name": "n", "disk": 10, "label": "UPPER"}


def config(**values: object) -> dict[str, Any]:
    return EMPTY | {"name": "n"} | values


def item(key: str, **values: object) -> dict[str, Any]:
    return {"key": key, "size": None, "serial": None} | values


def test_a_new_one_has_defaults_and_unknowns() -> None:
    plan = merge(SCHEMA, config(secret_wo="hush"), None)
    assert plan.values == CREATED | {"id": UNKNOWN, "revision": UNKNOWN}
    assert plan.replacements == []


def test_nothing_is_planned_where_nothing_changes() -> None:
    assert merge(SCHEMA, config(secret_wo="hush"), CREATED).values == CREATED


def test_a_change_makes_computed_values_unknown_that_are_not_kept() -> None:
    plan = merge(SCHEMA, config(disk=20), CREATED)
    assert plan.values == CREATED | {"disk": 20, "revision": UNKNOWN}
    assert plan.replacements == []


@pytest.mark.parametrize("changes, path", [({"name": "m"}, "name"), ({"disk": 5}, "disk"), ({"name": UNKNOWN}, "name")])
def test_what_replaces(changes: dict[str, Any], path: str) -> None:
    assert [str(found) for found in merge(SCHEMA, config(**changes), CREATED).replacements] == [path]


def test_an_unknown_disk_does_not_replace() -> None:
    assert merge(SCHEMA, config(disk=UNKNOWN), CREATED).replacements == []


def test_what_means_the_same_is_no_change() -> None:
    prior = CREATED | {"document": '{"a": 1}'}
    assert merge(SCHEMA, config(document='{"a":1}'), prior).values == prior
    assert merge(SCHEMA, config(document='{"a":2}'), prior).values["document"] == '{"a":2}'


@pytest.mark.parametrize("name, wrap", [("items", lambda x: [x]), ("one", lambda x: x), ("map", lambda x: {"k": x})])
def test_nested_objects_keep_what_they_had(name: str, wrap: Callable[[object], object]) -> None:
    full = item("a", size=Decimal("0.1"), serial="s")
    prior = CREATED | {name: wrap(full)}
    assert merge(SCHEMA, config(**{name: wrap(item("a"))}), prior).values == prior
    changed = merge(SCHEMA, config(**{name: wrap(item("a", size=2))}), prior)
    assert changed.values[name] == wrap(full | {"size": 2})
    assert changed.values["revision"] == UNKNOWN
    assert merge(SCHEMA, config(**{name: wrap(item("b"))}), prior).replacements != []


def test_elements_of_sets_are_found_again_by_what_the_user_says_of_them() -> None:
    prior = CREATED | {"bag": [item("a", size=Decimal("0.1"), serial="1"), item("b", size=3, serial="2")]}
    wanted = [item("c"), item("b", size=3), item("a")]
    bag = merge(SCHEMA, config(bag=wanted), prior).values["bag"]
    assert [element["serial"] for element in bag] == [UNKNOWN, "2", "1"]


def test_the_order_of_a_set_says_nothing() -> None:
    prior = CREATED | {"bolts": [item("a", size=1, serial="1"), item("b", size=2, serial="2")]}
    plan = merge(SCHEMA, config(bolts=[item("b", size=2), item("a", size=1)]), prior)
    assert plan.values["revision"] == "1"


def test_unknown_objects_stay_unknown() -> None:
    plan = merge(SCHEMA, config(items=[UNKNOWN, item("a")], bag=UNKNOWN), None)
    assert plan.values["items"][0] == UNKNOWN
    assert plan.values["bag"] == UNKNOWN


def test_defaults_that_make_elements_of_a_set_the_same() -> None:
    with pytest.raises(ProviderError) as caught:
        merge(SCHEMA, config(bag=[item("a", serial=None), item("a", size=Decimal("0.1"))]), None)
    # Their serial numbers will differ, but nothing else tells them apart before.
    assert str(caught.value.problems[0].path) == "bag"


def test_promises_keep_the_words_that_terraform_knows() -> None:
    exact = Decimal("0.1000000000000000055511151231257827")
    known = CREATED | {"one": item("a", size=exact, serial="s"), "extra": Typed(infer([1]), [1])}
    new = CREATED | {"one": item("a", size=Decimal("0.1"), serial="s"), "extra": Typed(Primitive.DYNAMIC, [1])}
    assert reconciled(SCHEMA, new, known) == known


def test_promises_show_real_changes_and_store_no_secret() -> None:
    new = CREATED | {"name": "m", "secret_wo": "hush", "bag": [item("a")]}
    assert reconciled(SCHEMA, new, CREATED) == CREATED | {"name": "m", "bag": [item("a")]}
