# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a role says of its options is so: defaults are the same in both places, and names begin with the role's."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - of a parameter
from typing import Any

import pytest
import yaml

from tests.collection.playing import COLLECTION

ROLES = sorted(path.parents[1].name for path in COLLECTION.glob("roles/*/tasks/main.yml"))


def read(role: str, path: str) -> dict[str, Any]:
    file = COLLECTION / "roles" / role / path
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}


def entry_points(role: str) -> dict[str, dict[str, Any]]:
    specs: dict[str, dict[str, Any]] = read(role, "meta/argument_specs.yml").get("argument_specs", {})
    return specs


@pytest.mark.parametrize("role", ROLES)
def test_a_role_describes_every_entry_point(role: str) -> None:
    specs = entry_points(role)
    assert "main" in specs
    for name, spec in specs.items():
        assert (COLLECTION / "roles" / role / "tasks" / f"{name}.yml").is_file()
        assert spec["short_description"]
        assert spec["description"]
        assert all(option["description"] for option in spec.get("options", {}).values())


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_those_that_are_described(role: str) -> None:
    described: dict[str, Any] = {}
    for spec in entry_points(role).values():
        for name, option in spec.get("options", {}).items():
            if "default" in option:
                assert described.setdefault(name, option["default"]) == option["default"]
    assert read(role, "defaults/main.yml") == described


@pytest.mark.parametrize("role", ROLES)
def test_variables_begin_with_the_name_of_the_role(role: str) -> None:
    options = {name for spec in entry_points(role).values() for name in spec.get("options", {})}
    assert all(name.startswith(f"{role}_") for name in {*options, *read(role, "vars/main.yml")})


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gathers_no_facts_of_all_kinds(role: str) -> None:
    for path in (COLLECTION / "roles" / role).glob("tasks/*.yml"):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
            assert "ansible.builtin.setup" not in task or task["ansible.builtin.setup"].get("gather_subset"), path


@pytest.mark.parametrize("playbook", sorted(COLLECTION.glob("playbooks/*.yml")), ids=lambda path: path.stem)
def test_a_playbook_gathers_no_facts(playbook: Path) -> None:
    plays = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    assert all(play.get("gather_facts") is False for play in plays if "hosts" in play)


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_of_a_role_says_what_it_is_and_needs(role: str) -> None:
    text = (COLLECTION / "roles" / role / "README.md").read_text(encoding="utf-8")
    main = entry_points(role)["main"]
    required = [name for name, option in main.get("options", {}).items() if option.get("required")]
    assert text.startswith(f"# {role}\n\n{main['short_description']}.\n")
    assert all(f"`{name}`" in text for name in required)
