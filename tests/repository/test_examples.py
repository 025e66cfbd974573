# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages show works: the Python runs, the policies are read, and the tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attestation import Policy, Variant
from attestation.insecure import InsecureIssuer
from attestation.judge import judge
from attestation.policy import json_schema
from attestation.policy_fields import FIELDS
from attestation.testing.node import AT
from attestation.variant import Technology
from constellation_cli.errors import ExitStatus
from constellation_cli.mapping import parse_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCS = Path(__file__).parents[2] / "docs"
POLICIES = (DOCS / "policy.md").read_text(encoding="utf-8")
LIBRARY = DOCS / "library.md"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_python_of_the_library_page_runs() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    page = LIBRARY.read_text(encoding="utf-8")
    for block in blocks(page, "python"):
        lines_before = page[: page.index(block)].count("\n")
        exec(compile("\n" * lines_before + block, LIBRARY, "exec", dont_inherit=True), names)


@pytest.mark.parametrize("example", blocks(POLICIES, "yaml"))
def test_an_example_of_a_policy_is_read(example: str) -> None:
    policy = Policy.from_mapping(parse_mapping(example.encode()))
    assert Policy.from_mapping(policy.to_mapping()) == policy


def test_there_is_an_example_for_every_device() -> None:
    examples = [Policy.from_mapping(parse_mapping(example.encode())) for example in blocks(POLICIES, "yaml")]
    assert {device for policy in examples for device in policy.variant.technologies} == set(Technology)


def rows(first_cells: Iterable[str]) -> list[list[str]]:
    """Rows of the policy page that begin with one of these names, cell by cell."""
    names = {f"`{name}`" for name in first_cells}
    lines = re.findall(r"^\| (.+) \|$", POLICIES, re.MULTILINE)
    return [cells for cells in (line.split(" | ") for line in lines) if cells[0] in names]


def takes_effect_on(variants: frozenset[Variant]) -> str:
    """Name devices where all their variants are meant, and the other variants one by one."""
    devices = [device for device in Technology if Variant.with_technology(device) <= variants]
    covered = frozenset().union(*map(Variant.with_technology, devices))
    single = [f"`{variant}`" for variant in Variant if variant in variants - covered]
    return ", ".join([*(device.upper() for device in devices), *single])


def test_the_table_of_fields_is_that_of_the_code() -> None:
    assert [row for row in rows(FIELDS) if len(row) == 3] == [
        [f"`{name}`", spec.description, takes_effect_on(spec.variants)] for name, spec in FIELDS.items()
    ]


def required(rule: dict[str, Any]) -> str:
    groups = rule["then"].get("allOf", [])
    named = (" or ".join(f"`{choice['required'][0]}`" for choice in group["anyOf"]) for group in groups)
    return ", ".join(named) or "nothing"


def test_the_table_of_variants_is_that_of_the_code() -> None:
    rules = {rule["if"]["properties"]["variant"]["const"]: rule for rule in json_schema()["allOf"]}
    devices = {
        variant: ", ".join(device.upper() for device in Technology if device in variant.technologies) or "none"
        for variant in Variant
    }
    assert rows(map(str, Variant)) == [
        [f"`{variant}`", devices[variant], required(rules[variant.value]), variant.hardware_root.value]
        for variant in Variant
    ]


def test_every_part_of_a_verdict_is_explained() -> None:
    evidence, policy = InsecureIssuer().issue(bytes(32)), Policy.from_mapping({"variant": "insecure"})
    record = judge(evidence, policy, binding=bytes(32), at=AT).to_mapping()
    assert [part for part in record if f"`{part}`" not in POLICIES] == []


def test_every_exit_status_is_explained() -> None:
    documented = {int(status) for status in re.findall(r"^\| (\d+) \|", POLICIES, re.MULTILINE)}
    assert documented == {status.value for status in ExitStatus}
