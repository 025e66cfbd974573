# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation join-config show`: which machines may join?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.join_config.description import VERSION, describe
from constellation_cli.output import Output, OutputFormat
from constellation_cli.terminal import printable, say

if TYPE_CHECKING:
    from lightkube import Client

EXAMPLES: Final = (
    "constellation join-config show > join-config.yaml",
    "constellation join-config show --revision 3 > join-config.yaml",
    "constellation join-config show -o json | jq -r .resource_version",
)


def show_config(
    revision: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Show this revision of the history.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Print the file that says which machines may join.

    Without -o it is the file itself: change it, and give it to `join-config set`. JSON and YAML hold it as text, with
    what it says in short, and with the version to give to `join-config set --seen`.
    """
    from constellation_cli.api_server import api_server

    with api_server(kubeconfig, timeout) as server, server.answering() as client:
        found = _current(client) if revision is None else _revision(client, revision)
    record = {"version": VERSION, **found, **describe(found["text"])}
    if record["problem"]:
        say("warning", f"the join service refuses this: {record['problem']}", colour="yellow")
    _write(output, record)


def _current(client: Client) -> dict[str, Any]:
    from constellation_engine.cluster.join_config import show

    stored = show(client)
    return {"resource_version": stored.version, "revision": None, "text": stored.text}


def _revision(client: Client, number: int) -> dict[str, Any]:
    from constellation_engine.cluster.join_config import history
    from constellation_engine.errors import ObjectNotFoundError

    texts = {revision.number: revision.text for revision in history(client)}
    if number not in texts:
        known = ", ".join(map(str, texts)) or "none"
        raise ObjectNotFoundError(f"join-config: there is no revision {number}", hint=f"the history has: {known}")
    return {"resource_version": None, "revision": number, "text": texts[number]}


def _write(output: OutputFormat, record: dict[str, Any]) -> None:
    if output is not OutputFormat.TABLE:
        sys.stdout.write(output.dumps(record))
    elif sys.stdout.isatty():
        sys.stdout.write("".join(f"{printable(line)}\n" for line in record["text"].splitlines()))
    else:
        sys.stdout.write(record["text"])
    sys.stdout.flush()
