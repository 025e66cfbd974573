# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What authors declare: how it looks to Terraform, and what is refused before Terraform sees it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from enum import StrEnum
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest

from terraform_provider_constellation.plugin.api import (
    Model,
    Operation,
    Provider,
    Resource,
    SchemaError,
    SetOf,
    block,
    computed,
    function,
    optional,
    required,
)
from terraform_provider_constellation.plugin.schema.declarations import kind_of, schema_of
from terraform_provider_constellation.plugin.schema.messages import schema_message
from terraform_provider_constellation.plugin.service.functions import function_message
from terraform_provider_constellation.plugin.service.provider import ProviderCalls
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.types import notation

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Leaf(Model):
    """A leaf."""

    size: int = required("Millimetres.")


class Tree(Model):
    """A tree.

    With leaves.
    """

    id: str = computed(sensitive=True)
    from_: str | None = optional("Where it comes from.", deprecated="Nobody asks.")
    leaves: SetOf[Leaf] = required()
    nest: Leaf | None = block("For birds.", least=1)


@pytest.mark.parametrize(
    "annotation, expected",
    [
        (str, "string"),
        (bool, "bool"),
        (int, "number"),
        (float, "number"),
        (Decimal, "number"),
        (Any, "dynamic"),
        (str | None, "string"),
        (Literal["a", "b"], "string"),
        (Colour, "string"),
        (list[int], ["list", "number"]),
        (SetOf[str], ["set", "string"]),
        (dict[str, list[bool]], ["map", ["list", "bool"]]),
        (tuple[str, int], ["tuple", ["string", "number"]]),
        (Leaf, ["object", {"size": "number"}]),
    ],
    ids=str,
)
def test_types_of_annotations(annotation: object, expected: object) -> None:
    assert notation(kind_of(annotation).wire_type) == expected


@pytest.mark.parametrize("annotation", [set, bytes, dict[int, str], tuple[int, ...], str | int, object], ids=str)
def test_annotations_that_terraform_has_no_type_for(annotation: object) -> None:
    with pytest.raises(SchemaError, match="expected an annotation"):
        kind_of(annotation)


def test_how_a_model_looks_to_terraform() -> None:
    message = schema_message(schema_of(Tree), version=3)
    assert message.version == 3
    assert message.block.description == "A tree.\n\nWith leaves."
    attributes = {item.name: item for item in message.block.attributes}
    assert attributes["id"].sensitive
    assert attributes["from"].deprecation_message == "Nobody asks."
    assert attributes["leaves"].nested_type.nesting == pb.Schema.Object.SET
    (nest,) = message.block.block_types
    assert (nest.type_name, nest.nesting, nest.min_items, nest.max_items) == (
        "nest",
        pb.Schema.NestedBlock.SINGLE,
        1,
        1,
    )


def made(annotations: dict[str, Any], **fields: object) -> type[Model]:
    return type("Made", (Model,), {"__annotations__": annotations, **fields})


SECRET = made({"b": str}, b=required(write_only=True))
OPEN = made({"b": Any}, b=optional())
MISTAKES: dict[str, Callable[[], object]] = {
    "no annotation": lambda: schema_of(made({}, name=required())),
    "name": lambda: schema_of(made({"Name": str}, Name=required())),
    "write-only default": lambda: schema_of(made({"a": str}, a=optional(default="x", write_only=True))),
    "default of another kind": lambda: schema_of(made({"a": int}, a=optional(default="x"))),
    "block without a model": lambda: schema_of(made({"a": str}, a=block())),
    "blocks in an attribute": lambda: schema_of(made({"a": Tree}, a=required())),
    "write-only in a set": lambda: schema_of(made({"a": GenericAlias(SetOf, (SECRET,))}, a=required())),
    "open type in a collection": lambda: schema_of(made({"a": list[Any]}, a=required())),
    "open type in a collection of objects": lambda: schema_of(made({"a": GenericAlias(list, (OPEN,))}, a=required())),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_of_authors(mistake: str) -> None:
    with pytest.raises(SchemaError, match=r"Made\.(a|name|Name): "):
        MISTAKES[mistake]()


class Forest(Provider[Model]):
    name = "forest"


def provider_of(*resources: Resource[Any]) -> Provider[Any]:
    provider = Forest()
    provider.resources = resources
    return provider


def named(name: str, model: type[Model]) -> Resource[Any]:
    made_up: Resource[Any] = type("Made", (Resource,), {"name": name, "model": model})()
    return made_up


@pytest.mark.parametrize(
    "resources, message",
    [
        ([named("tree", Leaf)], "tree: expected a name of its own that begins with forest_"),
        ([named("forest_tree", Leaf), named("forest_tree", Leaf)], "forest_tree: expected a name of its own"),
        ([named("forest_tree", made({"count": int}, count=required()))], "Terraform keeps this name for itself"),
    ],
)
def test_mistakes_in_a_provider(resources: list[Resource[Any]], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        ProviderCalls(provider_of(*resources))


def test_the_model_of_a_resource_is_said_once() -> None:
    class Trees(Resource[Tree]):
        name = "forest_tree"

    class Oaks(Trees):
        name = "forest_oak"

    assert (Trees.model, Oaks.model) == (Tree, Tree)


def test_a_function_is_declared_by_its_signature() -> None:
    @function
    def measure(tree: Annotated[str, "Which."], *more: int | None) -> list[float]:
        """Measure it.

        All of it.
        """
        return [len(tree), *(item or 0 for item in more)]

    message = function_message(measure)
    (parameter,) = message.parameters
    assert (parameter.name, parameter.type, parameter.description) == ("tree", b'"string"', "Which.")
    assert (message.variadic_parameter.name, message.variadic_parameter.allow_null_value) == ("more", True)
    assert getattr(message, "return").type == b'["list","number"]'
    assert (message.summary, message.description) == ("Measure it.", "Measure it.\n\nAll of it.")


def test_functions_that_cannot_be_declared() -> None:
    with pytest.raises(SchemaError, match="positional parameter"):
        function(lambda tree: tree)
    with pytest.raises(SchemaError, match="annotation of the result"):

        @function
        def measure(tree: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
            return tree


def test_what_is_not_implemented_says_so() -> None:
    resource = named("forest_tree", Leaf)
    with pytest.raises(NotImplementedError):
        asyncio.run(resource.create(Leaf(size=1), Operation(config=Leaf(size=1))))
