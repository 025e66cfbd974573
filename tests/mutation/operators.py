# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a module is broken: mutmut's operators, and those that take a check away.

mutmut turns conditions around, moves borders, swaps and drops arguments. What it never does is to leave a check out,
and that is the mistake that matters most here: a call that only raises, one branch of a condition, one pass of a
loop, one row of a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

import libcst as cst
from mutmut.mutation import mutators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Change: TypeAlias = "tuple[cst.CSTNode, cst.CSTNode]"
"""A node, and what stands in its place."""

Operator: TypeAlias = "tuple[type[cst.CSTNode], Callable[..., Iterator[Change]]]"
"""The kind of node that it looks at, and how it finds changes at or below one."""

_Node = TypeVar("_Node", bound=cst.CSTNode)

# Three spellings of one broken string tell no more than one, and no statement here has the shape of the other.
_LEFT_OUT = {mutators.operator_string, mutators.operator_match}

_FALSE, _TRUE, _NOTHING = cst.Name("False"), cst.Name("True"), cst.Tuple(())
_QUANTIFIERS = {"any": "all", "all": "any"}


def drop_call(statement: cst.Expr) -> Iterator[Change]:
    """Leave out a call whose result nobody takes: it was there to raise, or to report."""
    if isinstance(statement.value, cst.Call):
        yield statement, cst.Pass()


def drop_refusal(handler: cst.ExceptHandler) -> Iterator[Change]:
    """Swallow an exception instead of turning it into another."""
    for line in handler.body.body:
        if isinstance(line, cst.SimpleStatementLine):
            yield from ((statement, cst.Pass()) for statement in line.body if isinstance(statement, cst.Raise))


def decide(branch: cst.If | cst.IfExp | cst.CompIf) -> Iterator[Change]:
    """Take one way whatever the condition says."""
    yield branch.test, _FALSE
    yield branch.test, _TRUE


def drop_operand(condition: cst.BooleanOperation) -> Iterator[Change]:
    """Ask only one of two questions."""
    yield condition, condition.left
    yield condition, condition.right


def drop_loop(loop: cst.For) -> Iterator[Change]:
    """Never enter a loop."""
    yield loop.iter, _NOTHING


def drop_element(display: cst.Tuple | cst.List | cst.Set | cst.Dict) -> Iterator[Change]:
    """Leave out one row of a table, one case of several."""
    elements: Sequence[cst.BaseElement | cst.BaseDictElement] = display.elements
    if len(elements) > 1:
        for index in range(len(elements)):
            yield display, display.with_changes(elements=[*elements[:index], *elements[index + 1 :]])


def swap_quantifier(call: cst.Call) -> Iterator[Change]:
    """Be content with one where all are asked for, or the other way round."""
    if isinstance(call.func, cst.Name) and call.func.value in _QUANTIFIERS:
        yield call.func, cst.Name(_QUANTIFIERS[call.func.value])


def spoil_text(text: cst.SimpleString) -> Iterator[Change]:
    """Change a string, as mutmut does first."""
    if not text.quote.startswith(('"""', "'''")):
        opening = f"{text.prefix}{text.quote}"
        yield text, text.with_changes(value=f"{opening}XX{text.value.removeprefix(opening)}")


def spoil_template(text: cst.FormattedStringText) -> Iterator[Change]:
    """Change the fixed part of an f-string."""
    yield text, text.with_changes(value=f"XX{text.value}")


def _in_place(operator: Callable[[_Node], Iterable[cst.CSTNode]]) -> Callable[[_Node], Iterator[Change]]:
    return lambda node: ((node, changed) for changed in operator(node))


OPERATORS: tuple[Operator, ...] = (
    *((kind, _in_place(operator)) for kind, operator in mutators.mutation_operators if operator not in _LEFT_OUT),
    (cst.Expr, drop_call),
    (cst.ExceptHandler, drop_refusal),
    (cst.If, decide),
    (cst.IfExp, decide),
    (cst.CompIf, decide),
    (cst.BooleanOperation, drop_operand),
    (cst.For, drop_loop),
    (cst.Tuple, drop_element),
    (cst.List, drop_element),
    (cst.Set, drop_element),
    (cst.Dict, drop_element),
    (cst.Call, swap_quantifier),
    (cst.SimpleString, spoil_text),
    (cst.FormattedStringText, spoil_template),
)
