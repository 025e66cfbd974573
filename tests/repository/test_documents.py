# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the documents mention exists: links, paths, tests; and the threat model claims only what a test shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(REPOSITORY).as_posix() for path in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"))
)
THREAT_MODEL = "docs/threat-model.md"

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
MENTION = re.compile(r"`((?:attestation|benchmarks|constellation_cli|docs|setup|tests)/[\w./-]+)(?:::(\w+))?`")
ROW = re.compile(r"^\| *T\d+ *\|.*\|$", re.MULTILINE)
STATES = {"prevented", "mitigated", "open", "accepted"}
NEED_A_TEST = {"prevented", "mitigated"}


def text_of(document: str) -> str:
    return (REPOSITORY / document).read_text(encoding="utf-8")


class Threat(NamedTuple):
    """A row of the threat model."""

    number: str
    threat: str
    who: str
    answer: str
    remark: str
    tests: str

    @property
    def state(self) -> str:
        return self.remark.partition(":")[0]


def threats() -> list[Threat]:
    return [Threat(*(cell.strip() for cell in row.strip("|").split("|"))) for row in ROW.findall(text_of(THREAT_MODEL))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_somewhere(document: str) -> None:
    folder = (REPOSITORY / document).parent
    assert [target for target in LINK.findall(text_of(document)) if not (folder / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_is_mentioned_exists(document: str) -> None:
    mentioned = {path for path, _ in MENTION.findall(text_of(document))}
    assert {path for path in mentioned if not (REPOSITORY / path).exists()} == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_that_is_mentioned_exists(document: str) -> None:
    mentioned = {(path, name) for path, name in MENTION.findall(text_of(document)) if name}
    assert {(path, name) for path, name in mentioned if f"def {name}(" not in text_of(path)} == set()


def test_threats_are_numbered_in_order() -> None:
    numbers = [threat.number for threat in threats()]
    assert numbers == [f"T{index}" for index, _ in enumerate(numbers, 1)]


def test_every_threat_has_a_known_state() -> None:
    assert {threat.state for threat in threats()} <= STATES


def test_no_threat_is_called_prevented_without_a_test() -> None:
    claims = [threat for threat in threats() if threat.state in NEED_A_TEST]
    assert [threat.number for threat in claims if not MENTION.search(threat.tests)] == []


def test_decisions_are_numbered_in_order() -> None:
    numbers = [int(path.name[:4]) for path in sorted((REPOSITORY / "docs" / "adr").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
