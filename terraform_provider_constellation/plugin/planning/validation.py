# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a configuration, and where. Values that are not known yet are looked at again when they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.errors import Problem
from terraform_provider_constellation.plugin.planning.defaults import with_defaults
from terraform_provider_constellation.plugin.planning.unknowns import unknown_paths
from terraform_provider_constellation.plugin.schema.kinds import Misfit, load, misfits
from terraform_provider_constellation.plugin.schema.objects import Nesting
from terraform_provider_constellation.plugin.wire.paths import Path
from terraform_provider_constellation.plugin.wire.types import untyped
from terraform_provider_constellation.plugin.wire.unknown import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from terraform_provider_constellation.plugin.schema.objects import Attribute, ObjectSchema
    from terraform_provider_constellation.plugin.wire.types import Value

_LONGEST_SHOWN = 80  # characters of a value in a message


def problems(schema: ObjectSchema, config: dict[str, Value]) -> Iterator[Problem]:
    """Everything that is wrong with a configuration, as far as it is known."""
    yield from _object(schema, config, Path(), hidden=False)


def write_only_problems(schema: ObjectSchema, config: dict[str, Value], path: Path = Path()) -> Iterator[Problem]:  # noqa: B008
    """Values that a Terraform that does not know of write-only arguments would store."""
    for name, attribute in schema.attributes.items():
        value = config.get(name)
        if attribute.field.write_only and value is not None:
            detail = "This Terraform would store it in the state; Terraform 1.11 and OpenTofu 1.11 do not."
            yield Problem("Write-only argument not supported", detail, path / name)
        for step, element in attribute.elements(value):
            if attribute.nested:
                yield from write_only_problems(attribute.nested, element, path / name / step)


def _object(schema: ObjectSchema, config: dict[str, Value], path: Path, *, hidden: bool) -> Iterator[Problem]:
    """Its attributes, and if they are right, its rules."""
    is_right = True
    for name, attribute in schema.attributes.items():
        for problem in _attribute(attribute, config.get(name), path / name, hidden=hidden):
            is_right = False
            yield problem
    if is_right and schema.rules:
        instance = schema.load(with_defaults(schema, config))
        for rule in schema.rules:
            yield from (problem.under(path) for problem in rule.problems(instance))


def _attribute(attribute: Attribute, value: Value, path: Path, *, hidden: bool) -> Iterator[Problem]:
    if value is None or isinstance(value, Unknown):
        return
    hidden = hidden or attribute.field.sensitive or attribute.field.write_only
    is_right = True
    for misfit in _misfits(attribute, value, path):
        is_right = False
        yield _problem(misfit, hidden=hidden)
    for step, element in attribute.elements(value):
        found = _object(attribute.nested, element, path / step, hidden=hidden) if attribute.nested else ()
        in_set = attribute.nesting is Nesting.SET  # of which the protocol can name no element
        yield from (replace(problem, at=path) if in_set else problem for problem in found)
    if is_right and attribute.field.validators and not any(unknown_paths(value, path)):
        loaded = untyped(load(attribute.kind, value))
        expectations = (validate(loaded) for validate in attribute.field.validators)
        yield from (_problem(Misfit(path, text, value), hidden=hidden) for text in expectations if text)


def _misfits(attribute: Attribute, value: Value, path: Path) -> Iterator[Misfit]:
    """Those of values; nested objects are looked at one by one."""
    if attribute.nested is None:
        yield from misfits(attribute.kind, value, path)


def _problem(misfit: Misfit, *, hidden: bool) -> Problem:
    if hidden:
        return Problem(
            "Invalid value", f"Expected {misfit.expected}. What came is sensitive and not shown.", misfit.path
        )
    shown = _text(untyped(misfit.value))
    return Problem("Invalid value", f"Expected {misfit.expected}, got {shown}.", misfit.path)


def _text(value: Value) -> str:
    """A value for a message; of an object or a collection only how large it is, for parts may be sensitive."""
    if isinstance(value, list | dict):
        return f"{len(value)} elements"
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
