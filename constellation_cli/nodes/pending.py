# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation nodes pending`: who waits for a person's decision?"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.nodes.words import REQUEST_COLUMNS, VERSION, describe_request, request_row
from constellation_cli.output import Output, OutputFormat, Table, emit

EXAMPLES: Final = (
    "constellation nodes pending",
    "constellation nodes pending --all -o json | jq -r '.requests[] | select(.decision == \"Denied\") | .name'",
)


def show_pending(
    everybody: Annotated[bool, typer.Option("--all", help="Show also those that were decided on.")] = False,
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show the machines that proved themselves and wait for approval.

    Control planes wait where join-config says controlPlanes.approval; workers never do. An identity is what a machine's
    own devices say: compare it with what you know from the machine itself before you approve.
    """
    from constellation_cli.api_server import api_server
    from constellation_engine.cluster.nodes import join_requests, pending

    with api_server(kubeconfig, timeout) as server, server.answering() as client:
        requests = join_requests(client) if everybody else pending(client)
    record = {"version": VERSION, "requests": [describe_request(request) for request in requests]}
    emit(output, record, lambda: [Table("", tuple(map(request_row, requests)), REQUEST_COLUMNS)])
