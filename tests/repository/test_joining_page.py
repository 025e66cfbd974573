# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What docs/joining.md says of refusals is what the join service can answer: read from its source."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from constellation_cli.main import app
from constellation_core.channel.refusals import Reason
from constellation_core.names import JOIN_NODE_PORT, STATUS_PORT
from constellation_services.join.news import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = Path(__file__).parents[2]
PAGE: Final = (REPOSITORY / "docs" / "joining.md").read_text(encoding="utf-8")
ROW: Final = re.compile(r"^\| `([a-z-]+)` \|(.*)\|$", re.MULTILINE)
TRY_AGAIN: Final = {"TryAgainError", "_not_now"}  # the answers after which a node asks again


def rows(heading: str) -> dict[str, list[str]]:
    """Outcome → the other cells, of the table below a heading."""
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    return {outcome: [cell.strip() for cell in cells.split("|")] for outcome, cells in ROW.findall(section)}


def causes() -> Iterator[tuple[str, bool]]:
    """Every cause that the join service can give, and whether the node asks again."""
    for path in (REPOSITORY / "constellation_services" / "join").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                named = [keyword.value for keyword in node.keywords if keyword.arg == "cause"]
                for value in [*named, *(node.args[1:] if node.func.id == "_not_now" else ())]:
                    if isinstance(value, ast.Constant):
                        yield str(value.value), node.func.id in TRY_AGAIN


def tells() -> Iterator[str]:
    """The reasons of all events."""
    for path in (REPOSITORY / "constellation_services" / "join").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".tell"):
                yield ast.literal_eval(node.args[0])


def test_every_cause_is_explained_and_no_other() -> None:
    assert rows("Tickets").keys() == {cause for cause, _ in causes()}


def test_the_page_says_who_asks_again() -> None:
    said = {(outcome, cells[1] == "yes") for outcome, cells in rows("Tickets").items()}
    assert said == set(causes())


def test_every_reason_of_the_channel_is_explained_and_no_other() -> None:
    assert rows("Connections").keys() == {reason.value for reason in Reason}


def test_events_that_tell_of_connections_are_named() -> None:
    news = {reason.value for reason in Reason if reason.is_news}
    (said,) = re.findall(r"Events `Refused` tell of (.*)\.", PAGE)
    assert set(re.findall(r"`([a-z]+)`", said)) == news


def test_every_event_is_named() -> None:
    assert {reason for reason in tells() if f"`{reason}`" not in PAGE} == set()


def test_every_metric_is_named_and_no_other() -> None:
    families = Metrics.new().registry.collect()
    counted = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert set(re.findall(r"constellation_join_\w+", PAGE)) == counted


@pytest.mark.parametrize(
    "port", [f"node port {JOIN_NODE_PORT}", f"join-service {STATUS_PORT}", f"localhost:{STATUS_PORT}"]
)
def test_ports_are_those_of_the_manifests(port: str) -> None:
    assert port in PAGE


def test_every_command_exists() -> None:
    known = {
        f"{group.name} {command.name}"
        for group in app.registered_groups
        if group.typer_instance is not None
        for command in group.typer_instance.registered_commands
    }
    named = set(re.findall(r"constellation ([a-z-]+ [a-z-]+)", PAGE))
    assert named - known == set()
