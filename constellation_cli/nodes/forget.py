# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation nodes forget`: a machine is gone for good, and its name, disk and address are free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_cli.api_server import DEFAULT_TIMEOUT, Kubeconfig, Timeout
from constellation_cli.nodes.consent import Consent, Yes
from constellation_cli.nodes.decision import show_request
from constellation_cli.nodes.words import VERSION, Identity, NodeName
from constellation_cli.output import Output, OutputFormat, Table, emit
from constellation_cli.terminal import say
from constellation_cli.times import show_time

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_engine.cluster.nodes import JoinRequest, NodeRecord

EXAMPLES: Final = (
    "constellation nodes forget worker-7",
    "constellation nodes forget worker-7 --identity 3f0c5a9e81d2b764 -o json",
)


def forget_node(
    name: NodeName,
    identity: Identity = None,
    yes: Yes = False,
    kubeconfig: Kubeconfig = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Forget a node: delete its identity, its request, tokens that it did not use, and what it claims.

    For machines that are gone for good: the machine is not told, and goes on for as long as its certificates hold.
    Another one may have its name, disk and mesh address afterwards. Kubernetes' own Node object stays.
    Where it was a control plane, those that are left take it out of etcd.

    Shows what the cluster knows, and asks you, unless --identity says which machine you mean. Prints what was deleted.
    If it is interrupted, say it again.
    """
    from constellation_cli.api_server import api_server
    from constellation_engine.cluster.nodes import forget
    from constellation_engine.errors import ConflictError

    with api_server(kubeconfig, timeout) as server:
        with server.answering() as client:
            known = _look_up(client, name)
        known.show(name)
        Consent(identity, yes).require(f"forget {name}", known.identity)
        with server.answering() as client:
            if _look_up(client, name) != known:
                raise ConflictError(f"{name} changed while you looked at it", hint="look at it again, then decide")
            deleted = forget(client, name)
    record = {"version": VERSION, "node": name, "deleted": list(deleted)}
    emit(output, record, lambda: [Table("", tuple((entry,) for entry in deleted), ("deleted",))])
    if known.node is not None:
        say("hint", f"if Kubernetes still lists it: kubectl delete node {name}", colour="cyan")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the cluster knows of a name: its node, its request, or neither."""

    node: NodeRecord | None
    request: JoinRequest | None

    @property
    def identity(self) -> str:
        """Of the machine; empty if nothing says which it is."""
        if self.node is not None:
            return self.node.identity.identity
        return self.request.identity if self.request is not None else ""

    def show(self, name: str) -> None:
        """Tell a person, on stderr."""
        if self.node is not None:
            _show_node(self.node)
        elif self.request is not None:
            show_request(self.request)
        else:
            say("node", f"the cluster knows no {name}; if it left something behind, that is deleted")


def _show_node(node: NodeRecord) -> None:
    identity = node.identity
    lines = (
        f"{identity.name} is a {identity.role}",
        f"  variant      {identity.variant}",
        f"  identity     {identity.identity}",
        f"  disk         {identity.disk}",
        f"  mesh         {identity.mesh_address}",
        f"  last ticket  {show_time(node.last_ticket) or 'none'} ({node.tickets} in all)",
    )
    say("node", "\n".join(lines))


def _look_up(client: Client, name: str) -> _Known:
    from constellation_engine.cluster.nodes import join_requests, node_records

    nodes = {node.identity.name: node for node in node_records(client)}
    requests = {request.name: request for request in join_requests(client)}
    return _Known(nodes.get(name), requests.get(name))
