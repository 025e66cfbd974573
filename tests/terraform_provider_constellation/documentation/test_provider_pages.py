# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of our provider: complete, each with an example, and none about what is gone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from terraform_provider_constellation.documentation import FOLDER, documentation
from terraform_provider_constellation.provider import Constellation
from tests.terraform_provider_constellation.real_terraform import EXAMPLES, REPOSITORY

PAGES = documentation(REPOSITORY)


def described() -> list[tuple[str, str]]:
    """Every attribute of everything, with its description."""
    provider = Constellation()
    things: list[Any] = [*provider.resources, *provider.data_sources, *provider.ephemeral_resources]
    return [
        (f"{one.name}.{name}", item.field.description) for one in things for name, item in one.schema.attributes.items()
    ]


def test_there_is_no_page_about_what_is_gone() -> None:
    there = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / FOLDER).rglob("*.md")}
    assert there == PAGES.keys()


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_page_has_an_example(page: str) -> None:
    assert "## Example Usage" in PAGES[page]


def test_every_example_is_of_a_page() -> None:
    shown = {
        re.sub(r"\W", "", text)
        for page in PAGES.values()
        for text in re.findall(r"```terraform\n(.*?)```", page, re.DOTALL)
    }
    examples = list(EXAMPLES.rglob("*.tf"))
    assert len(examples) == len(shown)


@pytest.mark.parametrize("name, description", described())
def test_every_attribute_is_described_in_a_sentence(name: str, description: str) -> None:
    assert description.endswith("."), name


@pytest.mark.parametrize("page", sorted(PAGES))
def test_pages_are_as_small_as_the_registry_wants_them(page: str) -> None:
    assert len(PAGES[page].encode()) < 500_000
