# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_node_identities`: which attested machines a cluster let in, by its own word."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from terraform_provider_constellation.errors import telling
from terraform_provider_constellation.plugin.api import Call, DataSource, Model, computed, exactly_one_of, optional

if TYPE_CHECKING:
    from constellation_engine.cluster.nodes import NodeRecord


class NodeIdentity(Model):
    """What one machine proved when it joined."""

    name: str = computed("Of the node.")
    role: str = computed("`control-plane` or `worker`.")
    variant: str = computed("The platform that attested it.")
    identity: str = computed("SHA-256 of what identifies its devices, hexadecimal.")
    identity_kind: str = computed("What that was computed from.")
    disk: str = computed("LUKS UUID of its state disk.")
    mesh_address: str = computed("Its address in the mesh.")
    addresses: list[str] = computed("Where its peers reach it.")
    tickets: int = computed("How often it was let in.")


class NodeIdentities(Model):
    """Read which machines a cluster knows as its nodes.

    This is what the cluster says, and what they proved when they joined. What they prove now is what
    `constellation_verification` asks.
    """

    workspace: str | None = optional("Workspace of a cluster on this machine.")
    kubeconfig_path: str | None = optional("Kubeconfig of a cluster that lives elsewhere.")
    nodes: list[NodeIdentity] = computed("The nodes, by name.")

    places = exactly_one_of("workspace", "kubeconfig_path")


class NodeIdentitiesSource(DataSource[NodeIdentities]):
    """Asks the API server."""

    name = "constellation_node_identities"

    async def read(self, config: NodeIdentities, call: Call) -> NodeIdentities:
        """Ask."""
        del call
        at = "workspace" if config.workspace is not None else "kubeconfig_path"
        with telling("The cluster does not say which nodes it has", at=at):
            config.nodes = await asyncio.to_thread(_nodes, config)
        return config


def _nodes(config: NodeIdentities) -> list[NodeIdentity]:
    from constellation_engine.cluster.client import api_client  # noqa: PLC0415 - Terraform starts us often
    from constellation_engine.cluster.nodes import node_records  # noqa: PLC0415

    with api_client(_kubeconfig(config)) as client:
        return [_identity(record) for record in node_records(client)]


def _kubeconfig(config: NodeIdentities) -> Path:
    if config.workspace is None:
        return Path(config.kubeconfig_path or "")
    from constellation_engine.local_cluster import Workspace  # noqa: PLC0415 - as above
    from constellation_engine.local_cluster.way_to_api import keep_way_to_api  # noqa: PLC0415

    workspace = Workspace.open(Path(config.workspace))
    keep_way_to_api(workspace)
    return workspace.kubeconfig


def _identity(record: NodeRecord) -> NodeIdentity:
    identity = record.identity
    return NodeIdentity(
        name=identity.name,
        role=identity.role.value,
        variant=identity.variant,
        identity=identity.identity,
        identity_kind=identity.identity_kind,
        disk=identity.disk,
        mesh_address=identity.mesh_address,
        addresses=list(identity.addresses),
        tickets=record.tickets,
    )
