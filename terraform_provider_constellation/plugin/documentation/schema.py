# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A schema as Markdown: arguments that must be given, may be given, and what the provider gives; nested ones below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.documentation.words import attribute_words, remarks
from terraform_provider_constellation.plugin.planning.modifiers import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from terraform_provider_constellation.plugin.schema.objects import Attribute, ObjectSchema


@dataclass(frozen=True, slots=True)
class Section:
    """A schema on its page.

    Attributes:
        schema: what is declared.
        path: names that lead to it; none for the schema of the page itself.
        read_only: whether the provider gives all of it.
        more: remarks by the name of an attribute, beside its description.
    """

    schema: ObjectSchema
    path: tuple[str, ...] = ()
    read_only: bool = False
    more: Mapping[str, str] | None = None

    def lines(self) -> Iterator[str]:
        """Give it, and all that is nested in it."""
        if self.path:
            yield from ("", f'<a id="{self.anchor}"></a>', f"### Nested Schema for `{'.'.join(self.path)}`")
        for title, attributes in self._groups():
            yield from ("", f"{title}:" if self.path else f"### {title}", "")
            yield from map(self._line, attributes)
        for attribute in self.schema.attributes.values():
            if attribute.nested is not None:
                yield from self._inside(attribute, attribute.nested).lines()

    @property
    def anchor(self) -> str:
        """What a link to it says."""
        return f"nested--{'--'.join(self.path)}"

    def _groups(self) -> Iterable[tuple[str, list[Attribute]]]:
        items = list(self.schema.attributes.values())
        required = [item for item in items if item.field.required and not self.read_only]
        optional = [item for item in items if item.field.optional and not self.read_only]
        rest = [item for item in items if item not in required and item not in optional]
        groups = (("Required", required), ("Optional", optional), ("Read-Only", rest))
        return [group for group in groups if group[1]]

    def _line(self, attribute: Attribute) -> str:
        replaces = replace in attribute.field.modifiers
        texts = [attribute.field.description, *([] if self.read_only else remarks(attribute, replaces=replaces))]
        texts += [(self.more or {}).get(attribute.name, "")]
        if attribute.nested is not None:
            inside = self._inside(attribute, attribute.nested)
            texts.append(f"(see [below for nested schema](#{inside.anchor}))")
        said = " ".join(" ".join(texts).split())
        return f"- `{attribute.name}` ({attribute_words(attribute)}) {said}".rstrip()

    def _inside(self, attribute: Attribute, nested: ObjectSchema) -> Section:
        given_by_us = not (attribute.field.required or attribute.field.optional)
        return Section(nested, (*self.path, attribute.name), self.read_only or given_by_us)
