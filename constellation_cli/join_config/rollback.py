# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation join-config rollback`: go back to what was accepted before."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.join_config.change import show_change
from constellation_cli.join_config.difference import show_difference
from constellation_cli.output import Output, OutputFormat

EXAMPLES: Final = (
    "constellation join-config rollback",
    "constellation join-config rollback 3",
)


def roll_back(
    number: Annotated[
        int | None, typer.Argument(min=1, metavar="[NUMBER]", help="Of the revision; default: the one before this.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Go back to an earlier version of join-config, and show what changed.

    It becomes the newest revision; to go back without a number twice is to be where you were. Nodes that joined in the
    meantime stay. Where the cluster has a version that the join service refuses, this replaces it by the one before.
    """
    from constellation_cli.api_server import api_server
    from constellation_engine.cluster.join_config import rollback, show

    with api_server(kubeconfig, timeout) as server, server.answering() as client:
        before = show(client).text
        written = rollback(client, number)
    show_difference(before, written.text)
    show_change(written, changed=before != written.text, output=output)
