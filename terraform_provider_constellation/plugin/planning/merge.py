# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""From configuration and prior state to the plan.

1. What the configuration says is planned. What it leaves open is the default, or what it was.
2. If that is what is there already, nothing is planned.
3. Otherwise every computed value that the configuration leaves open may change: it becomes unknown, at any depth, where
   no modifier knows better.

Elements of lists are taken for the same as those at the same index before, elements of maps by key, and elements of
sets by everything that the configuration says about them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.errors import ProviderError
from terraform_provider_constellation.plugin.planning.equality import equal, has_duplicates
from terraform_provider_constellation.plugin.planning.modifiers import ValueChange
from terraform_provider_constellation.plugin.schema.fields import MISSING
from terraform_provider_constellation.plugin.schema.kinds import dump, load
from terraform_provider_constellation.plugin.schema.objects import Nesting
from terraform_provider_constellation.plugin.wire.paths import Key, Path
from terraform_provider_constellation.plugin.wire.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from terraform_provider_constellation.plugin.schema.objects import Attribute, ObjectSchema
    from terraform_provider_constellation.plugin.wire.paths import Step
    from terraform_provider_constellation.plugin.wire.types import Value

    Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Merged:
    """A plan, before the provider has had its say.

    Attributes:
        values: the planned state.
        replacements: attributes for which the resource must be made anew.
    """

    values: dict[str, Value]
    replacements: list[Path]


def merge(schema: ObjectSchema, config: Values, prior: Values | None) -> Merged:
    """Plan a resource.

    Args:
        schema: of the resource.
        config: what the user wrote.
        prior: what is there; None if nothing is.

    Raises:
        ProviderError: defaults made two elements of a set the same.
    """
    if prior is not None:
        settled = _Merge(settled=True)
        values = settled.object(schema, config, prior, Path())
        if equal(values, prior, schema.type):
            return Merged(values, [])
    unsettled = _Merge(settled=False)
    return Merged(unsettled.object(schema, config, prior, Path()), unsettled.replacements)


@dataclass(slots=True)
class _Merge:
    """One walk. `settled` is whether computed values stay what they were."""

    settled: bool
    replacements: list[Path] = field(default_factory=list)

    def object(self, schema: ObjectSchema, config: Values, prior: Values | None, path: Path) -> dict[str, Value]:
        return {
            name: self._attribute(item, config.get(name), prior, path / name)
            for name, item in schema.attributes.items()
        }

    def _attribute(self, attribute: Attribute, config: Value, owner: Values | None, path: Path) -> Value:
        """Plan one attribute of an object; `owner` is the object as it was."""
        prior = None if owner is None else owner.get(attribute.name)
        if attribute.field.write_only:
            return None
        planned = self._value(attribute, config, prior, path, exists=owner is not None)
        if not attribute.field.modifiers:
            return planned
        kind = attribute.kind
        change = ValueChange(load(kind, config), load(kind, prior), load(kind, planned), exists=owner is not None)
        before = change.planned
        for modify in attribute.field.modifiers:
            modify(change)
        if change.replace:
            self.replacements.append(path)
        return planned if change.planned is before else dump(attribute.kind, change.planned)

    def _value(self, attribute: Attribute, config: Value, prior: Value, path: Path, *, exists: bool) -> Value:
        declared = attribute.field
        if config is None and declared.default is not MISSING:
            config = attribute.default
        elif config is None and declared.computed:
            return prior if exists and self.settled else UNKNOWN
        if config is None or isinstance(config, Unknown):
            return config
        if attribute.nested:
            return self._elements(attribute, attribute.nested, config, prior, path)
        return prior if _means_the_same(attribute, prior, config) else config

    def _elements(self, attribute: Attribute, nested: ObjectSchema, config: Any, prior: Any, path: Path) -> Value:  # noqa: ANN401
        """Plan nested objects."""

        def one(element: Value, before: Value, step: Step | None) -> Value:
            known = before if isinstance(before, dict) else None
            return self.object(nested, element, known, path / step) if isinstance(element, dict) else element

        match attribute.nesting:
            case Nesting.SINGLE:
                return one(config, prior, None)
            case Nesting.MAP:
                befores = prior if isinstance(prior, dict) else {}
                return {key: one(element, befores.get(key), Key(key)) for key, element in config.items()}
            case Nesting.LIST:
                items = prior if isinstance(prior, list) else []
                rest = [None] * max(0, len(config) - len(items))
                pairs = enumerate(zip(config, [*items, *rest], strict=False))
                return [one(element, before, index) for index, (element, before) in pairs]
            case Nesting.SET:
                planned = [one(element, before, None) for element, before in _matched(nested, config, prior)]
                if has_duplicates(planned, nested.type) and not has_duplicates(config, nested.type):
                    detail = "With their defaults filled in, two elements are the same. Leave one of them out."
                    raise ProviderError("Duplicate element", detail, at=path)
                return planned


def _means_the_same(attribute: Attribute, prior: Value, config: Value) -> bool:
    same = attribute.field.same
    if same is None or prior is None or isinstance(prior, Unknown):
        return False
    return same(load(attribute.kind, prior), load(attribute.kind, config))


def _matched(schema: ObjectSchema, config: list[Value], prior: Value) -> list[tuple[Value, Value]]:
    """Pair elements of a set with what they were."""
    rest = list(prior) if isinstance(prior, list) else []
    pairs: list[tuple[Value, Value]] = []
    for element in config:
        index = next((index for index, before in enumerate(rest) if _fits(schema, element, before)), None)
        pairs.append((element, None if index is None else rest.pop(index)))
    return pairs


def _fits(schema: ObjectSchema, config: Value, prior: Value) -> bool:
    """Whether a prior object may be what the configuration describes: the same but for what is left to the provider."""
    if not isinstance(config, dict) or not isinstance(prior, dict):
        return bool(config == prior)
    return all(_attribute_fits(item, config.get(name), prior.get(name)) for name, item in schema.attributes.items())


def _attribute_fits(attribute: Attribute, config: Value, prior: Value) -> bool:
    declared = attribute.field
    if declared.write_only or (config is None and declared.computed and declared.default is MISSING):
        return True
    if config is None and declared.default is not MISSING:
        config = attribute.default
    if attribute.nested:
        return _elements_fit(attribute.nested, attribute.nesting, config, prior)
    return equal(config, prior, attribute.kind.wire_type) or _means_the_same(attribute, prior, config)


def _elements_fit(schema: ObjectSchema, nesting: Nesting, config: Value, prior: Value) -> bool:
    match nesting, config, prior:
        case Nesting.SINGLE, dict(), dict():
            return _fits(schema, config, prior)
        case Nesting.MAP, dict(), dict():
            return config.keys() == prior.keys() and all(_fits(schema, config[key], prior[key]) for key in config)
        case _, list(), list() if len(config) != len(prior):
            return False
        case Nesting.LIST, list(), list():
            return all(_fits(schema, *pair) for pair in zip(config, prior, strict=True))
        case Nesting.SET, list(), list():
            return all(before is not None for _, before in _matched(schema, config, prior))
    return bool(config == prior)
