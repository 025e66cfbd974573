# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The pages: one for the provider, and one for each thing that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from terraform_provider_constellation.plugin.documentation.schema import Section
from terraform_provider_constellation.plugin.documentation.words import (
    attribute_words,
    element_of,
    signature_words,
    type_words,
)
from terraform_provider_constellation.plugin.schema.objects import Members

if TYPE_CHECKING:
    from datetime import timedelta

    from terraform_provider_constellation.plugin.documentation.examples import Examples
    from terraform_provider_constellation.plugin.function import Function, Parameter
    from terraform_provider_constellation.plugin.provider import Provider
    from terraform_provider_constellation.plugin.resource import Resource

_KINDS: Final = {
    "resources": "Resource",
    "data-sources": "Data Source",
    "ephemeral-resources": "Ephemeral Resource",
    "list-resources": "List Resource",
    "functions": "Function",
}


def pages(provider: Provider[Any], examples: Examples) -> dict[str, str]:
    """Write all pages.

    Args:
        provider: the provider.
        examples: of its pages; those that have none go without.

    Returns:
        Path below the folder of the documentation → text.
    """
    made = {"index.md": _index(provider, examples)}
    for folder, things in _things(provider).items():
        for thing in things:
            short = thing.name.removeprefix(f"{provider.name}_")
            made[f"{folder}/{short}.md"] = _page(provider, folder, thing, examples)
    for function in provider.functions:
        made[f"functions/{function.name}.md"] = _function(provider, function, examples)
    return made


def _things(provider: Provider[Any]) -> dict[str, list[Any]]:
    return {
        "resources": list(provider.resources),
        "data-sources": list(provider.data_sources),
        "ephemeral-resources": list(provider.ephemeral_resources),
        "list-resources": list(provider.list_resources),
    }


def _index(provider: Provider[Any], examples: Examples) -> str:
    described = provider.schema.description
    lines = [*_head(f"{provider.name} Provider", described), f"# {provider.name} Provider", "", described]
    lines += _example(examples.configuration("provider"))
    lines += _schema(Section(provider.schema))
    for folder, names in _names(provider).items():
        links = [f"- [{name}]({folder}/{name.removeprefix(f'{provider.name}_')}.md)" for name in names]
        lines += ["", f"## {_KINDS[folder]}s", "", *links] if names else []
    return _text(lines)


def _names(provider: Provider[Any]) -> dict[str, list[str]]:
    names = {folder: [thing.name for thing in things] for folder, things in _things(provider).items()}
    return {folder: sorted(of) for folder, of in names.items()} | {
        "functions": sorted(function.name for function in provider.functions)
    }


def _page(provider: Provider[Any], folder: str, thing: Any, examples: Examples) -> str:  # noqa: ANN401 - any kind
    schema = Section(thing.schema, more=_limits(thing))
    name, kind = thing.name, _KINDS[folder]
    lines = _head(f"{name} {kind} - {provider.name}", schema.schema.description)
    lines += [f"# {name} ({kind})", "", schema.schema.description]
    if getattr(thing, "deprecated", ""):
        lines += ["", f"**Deprecated:** {thing.deprecated}"]
    lines += _example(examples.configuration(f"{folder}/{name}"))
    lines += _schema(schema)
    lines += _import(examples.import_commands(f"{folder}/{name}"))
    return _text(lines)


def _function(provider: Provider[Any], function: Function, examples: Examples) -> str:
    lines = _head(f"{function.name} function - {provider.name}", function.summary)
    lines += [f"# function: {function.name}", "", function.description]
    lines += _example(examples.configuration(f"functions/{function.name}"))
    variadic = [function.variadic] if function.variadic else []
    taken = [f"{one.name} {signature_words(one.kind.wire_type)}" for one in function.parameters]
    taken += [f"{one.name} {signature_words(one.kind.wire_type)}..." for one in variadic]
    result = signature_words(function.result.wire_type)
    lines += ["", "## Signature", "", "```text", f"{function.name}({', '.join(taken)}) {result}", "```"]
    lines += ["", "## Arguments", ""]
    lines += [_argument(one) for one in function.parameters]
    lines += [_argument(one, "Variadic, ") for one in variadic]
    result_kind = element_of(function.result)
    if isinstance(result_kind, Members):
        lines += ["", "## Result", *Section(result_kind.schema, read_only=True).lines()]
    return _text(lines)


def _argument(parameter: Parameter, how: str = "") -> str:
    nullable = ", Nullable" if parameter.nullable else ""
    said = f"1. `{parameter.name}` ({how}{type_words(parameter.kind.wire_type)}{nullable}) {parameter.description}"
    members = element_of(parameter.kind)
    if not isinstance(members, Members):
        return said
    parts = [f"`{name}` ({attribute_words(item)})" for name, item in members.schema.attributes.items()]
    return f"{said} Each has all of {', '.join(parts)}."


def _head(title: str, description: str) -> list[str]:
    first = " ".join(description.partition("\n\n")[0].split())
    return ["---", f'page_title: "{title}"', 'subcategory: ""', "description: |-", f"  {first}", "---", ""]


def _example(configuration: str) -> list[str]:
    return ["", "## Example Usage", "", "```terraform", configuration, "```"] if configuration else []


def _schema(section: Section) -> list[str]:
    lines = list(section.lines())
    return ["", "## Schema", *lines] if lines else []


def _import(commands: str) -> list[str]:
    return ["", "## Import", "", "```shell", commands, "```"] if commands else []


def _limits(thing: Resource[Any]) -> dict[str, str]:
    """Say what holds where the user says nothing about time."""
    limits = getattr(thing, "limits", None)
    if limits is None:
        return {}
    names = ("create", "read", "update", "delete")
    said = ", ".join(f"{name} {_duration(getattr(limits, name))}" for name in names)
    return {"timeouts": f"Default: {said}."}


def _duration(limit: timedelta) -> str:
    return f"{limit.total_seconds() / 60:g}m"


def _text(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
