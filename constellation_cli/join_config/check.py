# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation join-config check`: would the join service take this?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.errors import ExitStatus
from constellation_cli.files import display_name
from constellation_cli.join_config.description import VERSION, describe
from constellation_cli.join_config.file import read_text
from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES: Final = (
    "constellation join-config check join-config.yaml",
    "constellation join-config check",
)


def check_config(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The file; - for stdin; default: what the cluster has."),
    ] = None,
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check a join-config by the rules of the join service: fields, signatures of images, complete policies.

    A file is checked without asking the cluster.

    Exit status: 0 the join service takes it, 2 it does not, 1 it cannot be read.
    """
    text = _stored_text(kubeconfig, timeout) if file is None else read_text(file)
    record = {"version": VERSION, **describe(text)}
    name = "the cluster's join-config" if file is None else display_name(file)
    emit(output, record, lambda: [Table(f"{name}: {'REFUSED' if record['problem'] else 'usable'}", _rows(record))])
    if record["problem"]:
        say("refused", record["problem"], colour="red")
        hint = "to go back: constellation join-config rollback" if file is None else record["hint"]
        if hint:
            say("hint", hint, colour="cyan")
        raise typer.Exit(ExitStatus.REFUSED)


def _stored_text(kubeconfig: Path | None, timeout: int) -> str:
    from constellation_cli.api_server import api_server
    from constellation_engine.cluster.join_config import show

    with api_server(kubeconfig, timeout) as server, server.answering() as client:
        return show(client).text


def _rows(record: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(_named_values(record))


def _named_values(record: dict[str, Any]) -> Iterable[tuple[str, str]]:
    yield "sha256", record["sha256"]
    if record["problem"]:
        return
    for image in record["images"]:
        yield "image", f"{image['image']} ({image['variant']})"
    for variant in record["policies"]:
        yield "policy", variant
    yield "control planes", f"at most {record['control_planes']['max']}"
    yield "approval", "by a person" if record["control_planes"]["approval"] else "none"
