# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A person decides on a machine that waits: they see who asks, agree, and the decision holds for what they saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_cli.nodes.words import REQUEST_COLUMNS, VERSION, describe_request, request_row
from constellation_cli.output import OutputFormat, Table, emit
from constellation_cli.terminal import say

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_cli.api_server import ApiServer
    from constellation_cli.nodes.consent import Consent
    from constellation_engine.cluster.nodes import Decision, JoinRequest


def decide(
    server: ApiServer, name: str, decision: Decision, *, question: str, consent: Consent, output: OutputFormat
) -> None:
    """Show who asks, get consent, write the decision, and print the request as it is then.

    Args:
        server: of the cluster.
        name: of the node.
        decision: what to write.
        question: the decision as a person is asked about it, without a question mark.
        consent: what the command line says of it.
        output: in which form the request is printed.

    Raises:
        ObjectNotFoundError: nobody asks under this name.
        ConflictError: the request is not what was shown any more, or another machine was meant.
        CommandError: no consent, or no answer in time.
        ClusterError: the API server refuses, or does not answer.
    """
    from constellation_engine.cluster.nodes import write_decision

    with server.answering() as client:
        request = _find(client, name)
    show_request(request)
    consent.require(question, request.identity)
    with server.answering() as client:
        decided = write_decision(client, request, decision)
    record = {"version": VERSION, "request": describe_request(decided)}
    emit(output, record, lambda: [Table("", (request_row(decided),), REQUEST_COLUMNS)])


def show_request(request: JoinRequest) -> None:
    """Tell a person who asks, on stderr."""
    lines = (
        f"{request.name} asks to join as {request.role}",
        f"  variant   {request.variant}",
        f"  identity  {request.identity}",
        f"  disk      {request.disk}",
        f"  decision  {request.decision or 'none'}",
    )
    say("request", "\n".join(lines))


def _find(client: Client, name: str) -> JoinRequest:
    from constellation_engine.cluster.nodes import join_requests
    from constellation_engine.errors import ObjectNotFoundError

    for request in join_requests(client):
        if request.name == name:
            return request
    raise ObjectNotFoundError(f"nobody asks to join as {name}", hint="constellation nodes pending shows who asks")
