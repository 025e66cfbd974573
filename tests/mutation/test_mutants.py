# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Each operator takes away what it says, everywhere in a module, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.mutants import mutants_of
from tests.mutation.targets import TARGETS

REPOSITORY = Path(__file__).parents[2]


def changes(source: str) -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants_of("demo.py", source)}


@pytest.mark.parametrize(
    "line, after",
    [
        ("check(value)", "pass"),
        ("if a and b: check(1)", "if False: check(1)"),
        ("if a and b: check(1)", "if True: check(1)"),
        ("if a and b: check(1)", "if a: check(1)"),
        ("if a and b: check(1)", "if b: check(1)"),
        ("if a and b: check(1)", "if a or b: check(1)"),
        ("x = [y for y in z if y > 1]", "x = [y for y in z if True]"),
        ("x = 1 if y else 2", "x = 1 if False else 2"),
        ("x = any(y)", "x = all(y)"),
        ("for x in y: check(x)", "for x in (): check(x)"),
        ("x = (a, b)", "x = (b,)"),
        ("x = (a, b)", "x = (a, )"),
        ("x = {1: a, 2: b}", "x = {2: b}"),
        ("x = {a, b}", "x = {b}"),
        ('x = "name"', 'x = "XXname"'),
        ('x = f"name {y}"', 'x = f"XXname {y}"'),
        ("x = a < b", "x = a <= b"),
        ("x = a in b", "x = a not in b"),
        ("x = y & 1", "x = y | 1"),
        ("x = y[:8]", "x = y[:9]"),
        ("x = f(a, b=c)", "x = f(a, b=None)"),
        ("x = True", "x = False"),
    ],
)
@pytest.mark.parametrize("frame", ["{}", "def f():\n    {}", "class C:\n    @property\n    def f(self):\n        {}"])
def test_a_change(line: str, after: str, frame: str) -> None:
    assert (line, after) in changes(frame.format(line))


def test_an_exception_may_be_swallowed() -> None:
    assert ("raise B", "pass") in changes("try:\n    f()\nexcept A:\n    raise B\n")


@pytest.mark.parametrize(
    "line",
    [
        "from a import b",
        '"""Say something."""',
        "x: Literal[1, 2]",
        "if TYPE_CHECKING:\n    import a",
        'T = TypeVar("T")',
    ],
)
def test_what_does_not_run_is_left_alone(line: str) -> None:
    assert changes(line) == set()


def test_a_mutant_knows_its_place() -> None:
    source = (
        "class Box:\n    def open(self):\n        if self.key:\n            check(\n                1,\n            )\n"
    )
    places = {(mutant.place, mutant.line, mutant.before, mutant.after) for mutant in mutants_of("demo.py", source)}
    assert ("Box.open", 3, "if self.key:", "if True:") in places
    assert ("Box.open", 5, "1,", "2,") in places
    assert ("Box.open", 4, "check(\n1,\n)", "pass") in places


def test_equal_changes_of_equal_lines_are_counted() -> None:
    found = [mutant for mutant in mutants_of("demo.py", "def f():\n    g()\n    g()\n") if mutant.after == "pass"]
    assert [(mutant.before, mutant.occurrence, mutant.line) for mutant in found] == [("g()", 1, 2), ("g()", 2, 3)]


@pytest.mark.parametrize("module", ["attestation/snp/validate.py", "attestation/tpm/quote.py"])
def test_every_mutant_is_a_module_of_its_own(module: str) -> None:
    source = (REPOSITORY / module).read_text(encoding="utf-8")
    mutants = list(mutants_of(module, source))
    assert len({mutant.identity for mutant in mutants}) == len(mutants)
    assert ast.dump(ast.parse(source)) not in {ast.dump(ast.parse(mutant.source)) for mutant in mutants}


@pytest.mark.parametrize("module", TARGETS)
def test_targets_and_their_tests_exist(module: str) -> None:
    assert [path for path in (module, *TARGETS[module]) if not (REPOSITORY / path).exists()] == []
