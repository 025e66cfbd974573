# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every mutant of a module: the module with one change.

Everything that runs is changed: functions, decorated ones too, and the tables beside them. Left alone are types,
imports, decorators and docstrings.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, WhitespaceInclusivePositionProvider

from tests.mutation.operators import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LEFT_ALONE = (cst.Annotation, cst.AssignTarget, cst.Decorator, cst.Import, cst.ImportFrom)


class Identity(NamedTuple):
    """What tells a mutant from others and outlives changes elsewhere in the module."""

    module: str
    place: str
    before: str
    after: str
    occurrence: int = 1


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
        module: path in the repository.
        place: function, method or constant that is changed, dotted.
        before: the lines that are changed, without indentation.
        after: what they become.
        occurrence: which of several equal changes of equal lines in that place, from 1.
        line: number of the first of them.
        source: the whole module, changed.
    """

    module: str
    place: str
    before: str
    after: str
    occurrence: int
    line: int
    source: str

    @property
    def identity(self) -> Identity:
        """What the list of equivalents knows it by."""
        return Identity(self.module, self.place, self.before, self.after, self.occurrence)

    def __str__(self) -> str:
        """Show it to people."""
        old = [f"  - {line}" for line in self.before.splitlines()]
        new = [f"  + {line}" for line in self.after.splitlines()]
        return "\n".join([f"{self.module}:{self.line} in {self.place}", *old, *new])


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    """Make every mutant of a module.

    Args:
        module: path in the repository.
        source: its text.
    """
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Visitor(wrapper.module)
    wrapper.visit(visitor)
    lines = source.splitlines(keepends=True)
    seen: Counter[tuple[str, str, str]] = Counter()
    for place, span, replacement in visitor.found:
        first, last = span.start.line - 1, span.end.line
        old = lines[first:last]
        text = old[0][: span.start.column] + replacement + old[-1][span.end.column :]
        new = text.splitlines(keepends=True)
        skipped, before, after = _difference([line.strip() for line in old], [line.strip() for line in new])
        if before == after:
            continue
        seen[place, before, after] += 1
        changed = "".join([*lines[:first], *new, *lines[last:]])
        yield Mutant(module, place, before, after, seen[place, before, after], first + skipped + 1, changed)


def _difference(old: Sequence[str], new: Sequence[str]) -> tuple[int, str, str]:
    """Cut off the lines that are the same, and say how many of them came first."""
    head = _common(old, new)
    tail = _common(reversed(old[head:]), reversed(new[head:]))
    return head, "\n".join(old[head : len(old) - tail]), "\n".join(new[head : len(new) - tail])


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (WhitespaceInclusivePositionProvider,)

    def __init__(self, module: cst.Module) -> None:
        super().__init__()
        self._module = module
        self._place: list[str] = []
        self.found: list[tuple[str, CodeRange, str]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if (name := _name(node)) is not None:
            self._place.append(name)
        if isinstance(node, _LEFT_ALONE) or _is_for_types_only(node):
            return False
        for kind, changes in OPERATORS:
            if isinstance(node, kind):
                for original, replacement in changes(node):
                    self._keep(original, replacement)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if _name(original_node) is not None:
            self._place.pop()

    def _keep(self, original: cst.CSTNode, replacement: cst.CSTNode) -> None:
        span = self.get_metadata(WhitespaceInclusivePositionProvider, original)
        assert isinstance(span, CodeRange)
        self.found.append((".".join(self._place), span, self._module.code_for_node(replacement)))


def _name(node: cst.CSTNode) -> str | None:
    match node:
        case cst.FunctionDef() | cst.ClassDef():
            return node.name.value
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]) if name.isupper():
            return name
        case cst.AnnAssign(target=cst.Name(value=name)) if name.isupper():
            return name
    return None


def _is_for_types_only(node: cst.CSTNode) -> bool:
    match node:
        case cst.If(test=cst.Name(value="TYPE_CHECKING")):
            return True
        case cst.Assign(value=cst.Call(func=cst.Name(value="TypeVar"))):
            return True
    return False
