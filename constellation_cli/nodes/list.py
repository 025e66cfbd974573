# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation nodes list`: which machines are the nodes of the cluster?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.nodes.words import SHORTEST_IDENTITY, VERSION, describe_node
from constellation_cli.output import Output, OutputFormat, Table, emit

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES: Final = (
    "constellation nodes list",
    "constellation nodes list -o json | jq -r '.nodes[] | select(.role == \"control-plane\") | .name'",
)

_COLUMNS: Final = ("node", "role", "variant", "identity", "disk", "mesh", "tickets", "last ticket")


def list_nodes(
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show the nodes that the cluster knows: what each proved when it joined, and when it was last given a ticket.

    The table has the first digits of identities; JSON and YAML have all of them, and keys and addresses. What nodes
    prove now is another question, which verification answers.
    """
    from constellation_cli.api_server import api_server
    from constellation_engine.cluster.nodes import node_records

    with api_server(kubeconfig, timeout) as server, server.answering() as client:
        nodes = [describe_node(node) for node in node_records(client)]
    emit(output, {"version": VERSION, "nodes": nodes}, lambda: [Table("", tuple(_rows(nodes)), _COLUMNS)])


def _rows(nodes: Iterable[dict[str, Any]]) -> Iterable[tuple[str, ...]]:
    for node in nodes:
        yield (
            node["name"],
            node["role"],
            node["variant"],
            node["identity"][:SHORTEST_IDENTITY],
            node["disk"],
            node["mesh_address"],
            str(node["tickets"]),
            node["last_ticket"] or "none",
        )
