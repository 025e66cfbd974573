# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The rule for words: a mutant that changes only what people read weakens no check, and is not counted.

Words are the arguments called `message`, `expected`, `got`, `hint` and `text` of whatever makes an error, a mismatch
or a warning. The name of a check or of a policy field is not among them: programs ask for names. Take the words away
from a module and from its mutant; if the same remains, the mutant changed words only. What has no use without the
words was there for the words, and goes with them: local variables and private functions if all they do is to compose,
and the arguments for parameters of private functions.
"""

from __future__ import annotations

import ast
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORDS: Final = frozenset({"message", "expected", "got", "hint", "text"})

# Who speaks to people → its positional parameters. Errors that are not listed take a message.
SPEAKERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Mismatch": ("name", "expected", "got", "hint"),
        "MissingExtraError": ("package", "extra"),
        "NotAcceptedError": ("verdict",),
        "NotGenuineError": ("check",),
        "TpmError": ("command", "code"),
        "refuse": ("name",),
        "warn": ("text",),
    },
)
COMPOSING: Final = frozenset(
    {
        "all",
        "any",
        "format",
        "get_close_matches",
        "hex",
        "isoformat",
        "join",
        "len",
        "map",
        "repr",
        "sorted",
        "str",
        "type",
    },
)

_BLANK: Final = ast.Constant("…")


def without_words(source: str) -> str:
    """Give what a module does, as text that is the same for two modules that differ in words only."""
    tree = ast.parse(source)
    speakers = {**SPEAKERS, **_makers_of_errors(tree)}
    _WithoutWords(speakers).visit(tree)
    composing = _composing(tree)
    while _drop_functions(tree, composing) or _drop_variables(tree, composing) or _drop_arguments(tree):
        pass
    return ast.dump(tree)


def _makers_of_errors(tree: ast.Module) -> Mapping[str, tuple[str, ...]]:
    """Functions of this module that make an error, so that others only raise it."""
    return {
        function.name: _parameters(function)
        for function in _functions(tree)
        if function.returns is not None and ast.unparse(function.returns).endswith("Error")
    }


class _WithoutWords(ast.NodeTransformer):
    def __init__(self, speakers: Mapping[str, tuple[str, ...]]) -> None:
        self._speakers = speakers

    def visit_Call(self, call: ast.Call) -> ast.Call:
        self.generic_visit(call)
        called = _called(call)
        parameters = self._speakers.get(called, ("message",) if called.endswith("Error") else None)
        if parameters is not None:
            # A hint may also be left out.
            call.keywords = [keyword for keyword in call.keywords if keyword.arg != "hint"]
            _blank(call, parameters, WORDS)
        return call


def _blank(call: ast.Call, parameters: tuple[str, ...], words: frozenset[str]) -> bool:
    """Take the arguments for these parameters away; whether there were any."""
    found = False
    for index, (name, value) in enumerate(zip(parameters, call.args, strict=False)):
        if name in words and value is not _BLANK:
            call.args[index], found = _BLANK, True
    for keyword in call.keywords:
        if keyword.arg in words and keyword.value is not _BLANK:
            keyword.value, found = _BLANK, True
    return found


def _drop_functions(tree: ast.Module, composing: frozenset[str]) -> bool:
    used = _used(tree)
    unused = [function for function in _private(tree) if function.name in composing and function.name not in used]
    for function in unused:
        tree.body.remove(function)
    return bool(unused)


def _drop_variables(tree: ast.Module, composing: frozenset[str]) -> bool:
    dropped = False
    for function in _functions(tree):
        used = _used(function)
        for block in _blocks(function):
            for index, line in enumerate(block):
                match line:
                    case ast.Assign(targets=[ast.Name(id=name)]) if name not in used and _only_calls(composing, line):
                        block[index], dropped = ast.Pass(), True
    return dropped


def _drop_arguments(tree: ast.Module) -> bool:
    silent = {function.name: frozenset(_parameters(function)) - _used(function) for function in _private(tree)}
    parameters = {function.name: _parameters(function) for function in _private(tree)}
    dropped = False
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and (called := _called(call)) in silent:
            dropped |= _blank(call, parameters[called], silent[called])
    return dropped


def _composing(tree: ast.Module) -> frozenset[str]:
    """Add the private functions of this module that do nothing but compose."""
    known = COMPOSING
    while more := {one.name for one in _private(tree) if _only_calls(known, one)} - known:
        known |= more
    return known


def _only_calls(names: frozenset[str], node: ast.AST) -> bool:
    parts = list(ast.walk(node))
    calls = (part for part in parts if isinstance(part, ast.Call))
    return all(_called(call) in names for call in calls) and not any(isinstance(part, ast.Raise) for part in parts)


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _blocks(function: ast.FunctionDef) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def _used(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _parameters(function: ast.FunctionDef) -> tuple[str, ...]:
    arguments = (*function.args.args, *function.args.kwonlyargs)
    return tuple(argument.arg for argument in arguments if argument.arg != "self")


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _private(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("_")]
