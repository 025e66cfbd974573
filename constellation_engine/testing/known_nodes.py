# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that somebody knows, although nobody runs them: an API server's list, and machines of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node

from constellation_core.cluster_objects import NodeIdentity
from constellation_core.roles import Role
from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.machines import Forward, MachineSpec
from constellation_engine.machines.spec_file import to_json
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lightkube import Client

NAMES: Final = ("control-plane-0", "worker-0")


def some_identity(name: str = "worker-1", **changes: Any) -> NodeIdentity:  # noqa: ANN401 - as the record says
    """Make the identity of a worker that was let in.

    Args:
        name: of the node.
        changes: fields that are to be others.
    """
    fields: dict[str, Any] = {
        "role": Role.WORKER,
        "variant": "qemu-vtpm",
        "identity": "ab" * 32,
        "identity_kind": "TPM name",
        "disk": "123e4567-e89b-12d3-a456-426614174000",
        "wireguard_public_key": bytes(32),
        "host_key": "",
        "mesh_address": "10.213.1.7",
        "addresses": ("127.0.0.1",),
    }
    return NodeIdentity(name=name, **(fields | changes))


def let_in(client: Client, name: str, identity: str, address: str = "127.0.0.1") -> None:
    """Let a cluster know a node.

    Args:
        client: of an administrator.
        name: of the node, which begins with its role: `worker-1`.
        identity: of its devices, SHA-256 in hexadecimal.
        address: where it is reached.
    """
    node = some_identity(name, role=Role(name.rpartition("-")[0]), identity=identity, addresses=(address,))
    client.create(Node(metadata=ObjectMeta(name=name)))
    client.create(node.to_object(annotations={}))


def workspace_of_nodes(folder: Path, ports: Mapping[str, int], cluster_id: bytes) -> Workspace:
    """Make the workspace of a cluster whose machines are said to be verified at ports of this host.

    Args:
        folder: gets the workspace, and an image that measures what no node does.
        ports: name → port.
        cluster_id: 32 bytes.
    """
    image = FakeImage().write(folder / "image")
    workspace = Workspace.create(folder / "mini", ClusterSpec(image=image.path))
    workspace.initialised(cluster_id, b"{}")
    for name, port in ports.items():
        place = workspace.machines / name
        place.mkdir(parents=True)
        spec = MachineSpec(image=image.place(ImageFile.DISK), forwards=(Forward("verification", 30081, port),))
        (place / "spec.json").write_text(to_json(spec.settled({})))
    return workspace
