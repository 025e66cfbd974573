# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation join-config set`: change which machines may join."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.errors import ExitStatus
from constellation_cli.join_config.change import show_change
from constellation_cli.join_config.difference import show_difference
from constellation_cli.join_config.file import read_text
from constellation_cli.output import Output, OutputFormat
from constellation_cli.terminal import say

EXAMPLES: Final = (
    "constellation join-config set join-config.yaml",
    "constellation join-config set --dry-run join-config.yaml",
    "constellation join-config set --seen 4711 join-config.yaml",
)


def set_config(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file; - for stdin.")],
    seen: Annotated[
        str, typer.Option(metavar="VERSION", help="Refuse if the cluster has another version by now: see show -o json.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")] = False,
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Change which machines may join, and show what changes.

    What the join service would refuse is refused here, and nothing is written. Nor is anything if somebody else changes
    it at the same time. Join services take a new version within seconds; what was there before is in the history.

    With --dry-run the exit status is 2 if something would change.
    """
    from constellation_cli.api_server import api_server
    from constellation_core.join_config import JoinConfig
    from constellation_engine.cluster.join_config import put, stored

    text = read_text(file)
    JoinConfig.from_yaml(text)
    with api_server(kubeconfig, timeout) as server:
        with server.answering() as client:
            current = stored(client)
        show_difference(current.text, text)
        if dry_run:
            _end_dry_run(changes=current.text != text)
        with server.answering() as client:
            written = put(client, text, seen=seen or current.version)
    show_change(written, changed=current.text != text, output=output)


def _end_dry_run(*, changes: bool) -> None:
    say("dry run", "nothing was written" if changes else "nothing would change")
    raise typer.Exit(ExitStatus.REFUSED if changes else ExitStatus.OK)
