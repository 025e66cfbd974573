# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Random models, random configurations of them, and a provider of resources that do what was planned and no more."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import strategies as st

from terraform_provider_constellation.plugin.api import (
    Model,
    Operation,
    Provider,
    Resource,
    SetOf,
    block,
    computed,
    keep,
    optional,
    required,
)
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.schema.kinds import load
from terraform_provider_constellation.plugin.wire.types import (
    Collection,
    CollectionKind,
    Object,
    Primitive,
    Tuple,
    Type,
)
from terraform_provider_constellation.plugin.wire.unknown import Unknown

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.schema.objects import ObjectSchema

TEXT = st.text("abcxyz \"\\'äß€🦁\n\t0", max_size=6)
FRACTIONS = st.sampled_from([0.1, 0.3, 1.5, -2.25, 1e-7, 123456.789, 5.0])
PRECISE = st.decimals(-1000, 1000, places=3)


@dataclass(frozen=True)
class Sort:
    """A sort of attributes: its annotation, and what a user may write."""

    annotation: Any
    values: st.SearchStrategy[Any]
    default: Any = None


PLAIN = [
    Sort(str, TEXT, "made up"),
    Sort(bool, st.booleans(), True),
    Sort(int, st.integers(-(2**60), 2**60), 7),
    Sort(float, FRACTIONS | st.integers(-9, 9), 0.1),
    Sort(Decimal, PRECISE, Decimal("0.25")),
    Sort(Literal["red", "green"], st.sampled_from(["red", "green"]), "red"),
    Sort(list[str], st.lists(TEXT, max_size=3), ["x"]),
    Sort(SetOf[str], st.lists(TEXT, max_size=3), ["x", "y"]),
    Sort(SetOf[float], st.lists(FRACTIONS, max_size=3), [0.1]),
    Sort(dict[str, int], st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=2), {"a": 1}),
    Sort(tuple[str, float], st.tuples(TEXT, FRACTIONS).map(list), ("t", 0.5)),
    Sort(list[list[bool]], st.lists(st.lists(st.booleans(), max_size=2), max_size=2), [[True]]),
    Sort(Any, st.recursive(TEXT | FRACTIONS, lambda x: st.lists(x, max_size=2) | st.dictionaries(TEXT, x, max_size=2))),
]


@st.composite
def models(draw: st.DrawFn, *, depth: int = 2, in_set: bool = False, blocks: bool = True) -> tuple[type[Model], Any]:
    """A model, and a strategy of configurations of it."""
    count = draw(st.integers(1, 4))
    annotations: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    given: dict[str, st.SearchStrategy[Any]] = {}
    if in_set:  # what tells elements apart, so that defaults do not make them the same
        annotations["key"], fields["key"], given["key"] = str, required(), st.text("abcdef", min_size=6, max_size=6)
    for index in range(count):
        name = f"a{index}"
        if depth and draw(st.booleans()):
            annotations[name], fields[name], given[name] = draw(nested(depth=depth - 1, blocks=blocks, in_set=in_set))
        else:
            plain = [sort for sort in PLAIN if not in_set or sort.annotation is not Any]
            annotations[name], fields[name], given[name] = draw(attributes(draw(st.sampled_from(plain))))
    model = type("Made", (Model,), {"__annotations__": annotations, "__doc__": "Made up.", **fields})
    return model, st.fixed_dictionaries(given)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Given, or left out."""
    return st.none() | values


@st.composite
def attributes(draw: st.DrawFn, sort: Sort) -> tuple[Any, Any, st.SearchStrategy[Any]]:
    """An attribute: annotation, declaration, what a user may write."""
    plan = draw(st.sampled_from([[], [keep]]))
    how = draw(st.sampled_from(["required", "optional", "default", "either", "computed"]))
    if how == "required":
        return sort.annotation, required(plan=plan), sort.values
    if how == "optional" or (how == "default" and sort.annotation is Any):
        return sort.annotation | None if sort.annotation is not Any else Any, optional(), maybe(sort.values)
    if how == "default":
        return sort.annotation, optional(default=sort.default, plan=plan), maybe(sort.values)
    if how == "either":
        return sort.annotation, optional(computed=True, plan=plan), maybe(sort.values)
    return sort.annotation, computed(plan=plan), st.none()


@st.composite
def nested(draw: st.DrawFn, *, depth: int, blocks: bool, in_set: bool) -> tuple[Any, Any, st.SearchStrategy[Any]]:
    """An attribute that holds objects, or blocks."""
    as_block = blocks and draw(st.booleans())
    nesting = draw(st.sampled_from(["single", "list", "set", "map"] if not as_block else ["single", "list", "set"]))
    closed = in_set or nesting != "single"
    model, values = draw(models(depth=depth, in_set=closed, blocks=as_block))
    lists = st.lists(values, max_size=3, unique_by=lambda item: item["key"]) if closed else st.nothing()
    annotation, written = {
        "single": (model, values),
        "list": (list[model], lists),  # type: ignore[valid-type]
        "set": (SetOf[model], lists),  # type: ignore[valid-type]
        "map": (dict[str, model], lists.map(lambda items: {item["key"]: item for item in items})),  # type: ignore[valid-type]
    }[nesting]
    if as_block and nesting == "single":
        return annotation, block(), maybe(written)
    if as_block:
        return annotation, block(), written
    how = draw(st.sampled_from(["required", "optional", "either", "computed"]))
    field, values = {
        "required": (required(), written),
        "optional": (optional(), maybe(written)),
        "either": (optional(computed=True), maybe(written)),
        "computed": (computed(), st.none()),
    }[how]
    return annotation, field, values


def fill(schema: ObjectSchema, model: Model, text: str) -> None:
    """Give every unknown attribute a value, at any depth."""
    for attribute in schema.attributes.values():
        value = vars(model)[attribute.member]
        if isinstance(value, Unknown):
            setattr(model, attribute.member, load(attribute.kind, made_up(attribute.kind.wire_type, text)))
        elif attribute.nested:
            items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            for item in items:
                if isinstance(item, Model):
                    fill(attribute.nested, item, text)


def made_up(type_: Type, text: str) -> Any:  # noqa: ANN401, PLR0911 - a table: one line for each type
    """A value of a type."""
    match type_:
        case Primitive.STRING:
            return text
        case Primitive.NUMBER:
            return len(text)
        case Primitive.BOOL:
            return True
        case Collection(CollectionKind.MAP, element):
            return {"k": made_up(element, text)}
        case Collection(_, element):
            return [made_up(element, text)]
        case Tuple(elements):
            return [made_up(element, text) for element in elements]
        case Object(attributes):
            return {name: made_up(item, text) for name, item in attributes.items()}
    return None


class Made(Resource[Model]):
    """Does what was planned, fills in what is unknown, and remembers it."""

    def __init__(self, name: str, model: type[Model]) -> None:
        self.name = name  # type: ignore[misc]
        self.model = model  # type: ignore[misc]
        self.memory: dict[str, Model] = {}

    async def create(self, plan: Model, call: Operation[Model]) -> Model:
        call.private["id"] = f"{self.name}-{len(self.memory)}"
        return self._kept(plan, call, "red")

    async def read(self, state: Model, call: Operation[Model]) -> Model | None:
        del state
        return copy.deepcopy(self.memory[call.private["id"]])

    async def update(self, prior: Model, plan: Model, call: Operation[Model]) -> Model:
        del prior
        return self._kept(plan, call, "red")

    async def delete(self, state: Model, call: Operation[Model]) -> None:
        del state, call

    def _kept(self, plan: Model, call: Operation[Model], text: str) -> Model:
        fill(schema_of(self.model), plan, text)
        self.memory[call.private["id"]] = copy.deepcopy(plan)
        return plan


class MadeProvider(Provider[Model]):
    """A provider of random resources."""

    name = "zoo"

    def __init__(self, made: list[type[Model]]) -> None:
        self.resources = [Made(f"zoo_r{index}", model) for index, model in enumerate(made)]
