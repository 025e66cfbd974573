# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What people see of a look at a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from constellation_cli.nodes.words import REQUEST_COLUMNS, request_row
from constellation_cli.output import Table
from constellation_cli.times import show_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_cli.status_record import Look
    from constellation_engine.cluster.status import ClusterStatus, JoinConfigStatus, NodeStatus
    from constellation_engine.local_cluster import Workspace

_NODES: Final = ("node", "Ready", "role", "Kubernetes", "image", "addresses")
_SHOWN_REFUSALS: Final = 10


def tables(look: Look) -> Iterator[Table]:
    """Give the tables: what there is, and in the end what should be so."""
    if look.workspace is not None:
        yield _phases(look.workspace)
    if look.cluster is not None:
        yield from _cluster(look.cluster)
    rows = tuple(("✓" if one.holds else "✗", one.name, one.missing) for one in look.conditions)
    yield Table("conditions", rows, ("", "condition", "what is missing"))


def _cluster(found: ClusterStatus) -> Iterator[Table]:
    yield Table("nodes", tuple(map(_node, found.nodes)), _NODES)
    services = tuple((service.name, f"{service.ready}/{service.wanted}") for service in found.services)
    yield Table("services", services, ("service", "ready"))
    yield Table("join-config", tuple(_join_config(found.join_config)))
    if found.requests:
        yield Table("waiting for approval", tuple(map(request_row, found.requests)), REQUEST_COLUMNS)
    if found.refusals:
        shown = found.refusals[:_SHOWN_REFUSALS]
        rows = tuple((show_time(one.at) or "", one.reason, one.message) for one in shown)
        yield Table(f"refused in the last hour: {len(found.refusals)}", rows, ("at", "reason", "message"))


def _node(node: NodeStatus) -> tuple[str, ...]:
    ready = "yes" if node.ready else f"no: {node.reason}"
    return node.name, ready, node.role, node.kubernetes, node.image, ", ".join(node.addresses)


def _join_config(config: JoinConfigStatus) -> Iterator[tuple[str, str]]:
    yield "accepts", ", ".join(config.accepts) or "nobody"
    yield "last change", show_time(config.changed_at) or "unknown"
    if config.problem:
        yield "newest version refused", config.problem


def _phases(workspace: Workspace) -> Table:
    from constellation_engine.local_cluster import Phase

    over = set(workspace.state.finished)
    rows = tuple(("✓" if phase.value in over else " ", phase.value) for phase in Phase)
    return Table(f"phases of {workspace.folder}", rows, ("", "phase"))
