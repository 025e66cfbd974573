# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of the zoo: everything that it declares is told, once, where readers of the registry look for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from terraform_provider_constellation.plugin.documentation import Examples, pages

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terraform_provider_constellation.plugin.zoo import Zoo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Examples of one page."""
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources" / "zoo_cage.tf").write_text('# SPDX-X: y\n\nresource "zoo_cage" "a" {}\n')
    (tmp_path / "resources" / "zoo_cage.import.sh").write_text("#!/bin/sh\n# SPDX-X: y\n\nterraform import a b\n")
    return tmp_path


@pytest.fixture
def made(zoo: Zoo, folder: Path) -> dict[str, str]:
    """All pages."""
    return pages(zoo, Examples(folder))


@pytest.fixture
def cage(made: dict[str, str]) -> str:
    """The page of the resource."""
    return made["resources/cage.md"]


def test_there_is_a_page_for_everything(made: dict[str, str]) -> None:
    assert sorted(made) == [
        "data-sources/species.md",
        "ephemeral-resources/ticket.md",
        "functions/describe.md",
        "functions/legs.md",
        "functions/shout.md",
        "index.md",
        "list-resources/cage.md",
        "resources/cage.md",
    ]


def test_pages_begin_as_the_registry_wants_them(made: dict[str, str]) -> None:
    for text in made.values():
        assert re.match(r'---\npage_title: "[^"\n]+"\nsubcategory: ""\ndescription: \|-\n  .*\n---\n\n# ', text)


def test_every_attribute_is_told_with_what_terraform_does_with_it(cage: str) -> None:
    for line in (
        "- `name` (String) What is on the sign. Changing it makes the resource anew.",
        '- `climate` (String) What the air is like. One of `dry`, `wet`. Default: `"dry"`.',
        "- `secret` (String, Sensitive) Code of the lock.",
        "- `code_wo` (String, Sensitive, Write-only) The same, stored nowhere.",
        "- `labels` (Map of String) What is on the sign besides.",
        "- `size` (Tuple of Number, Number) Metres.",
        "- `extra` (Dynamic) Whatever.",
        "- `meal` (Block List) When it is fed. At most 3. (see [below for nested schema](#nested--meal))",
        "- `keepers` (Attributes Set) What the keepers bring. (see [below for nested schema](#nested--keepers))",
    ):
        assert line in cage.splitlines()


def test_who_gives_a_value_is_told(cage: str) -> None:
    required, optional, read_only = (cage.index(f"### {title}\n") for title in ("Required", "Optional", "Read-Only"))
    assert required < cage.index("- `name`") < optional < cage.index("- `labels`") < read_only < cage.index("- `id`")


def test_every_link_leads_to_a_nested_schema(made: dict[str, str]) -> None:
    for text in made.values():
        assert set(re.findall(r"\(#([\w-]+)\)", text)) == set(re.findall(r'<a id="([\w-]+)">', text))


def test_limits_of_time_are_told(cage: str) -> None:
    assert "Default: create 20m, read 5m, update 20m, delete 20m." in cage


def test_examples_are_shown_without_whose_they_are(cage: str) -> None:
    assert '## Example Usage\n\n```terraform\nresource "zoo_cage" "a" {}\n```' in cage
    assert "## Import\n\n```shell\nterraform import a b\n```" in cage


def test_a_page_without_an_example_has_no_place_for_one(made: dict[str, str]) -> None:
    assert "## Example Usage" not in made["data-sources/species.md"]


def test_a_function_is_told_with_its_signature(made: dict[str, str]) -> None:
    text = made["functions/shout.md"]
    assert "shout(text string, more string...) string" in text
    assert "1. `text` (String) What to say." in text
    assert "1. `more` (Variadic, String)" in text


def test_the_first_page_leads_to_all_others(made: dict[str, str]) -> None:
    assert {*re.findall(r"\]\(([\w/-]+\.md)\)", made["index.md"])} == made.keys() - {"index.md"}
