# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A real API server as the agent of a node has it: with our kinds, our rights, and the kubelet's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_engine.cluster.manifests.access import access
from constellation_engine.testing.kinds import serve_our_kinds
from node_agent.network.api_server import ApiServer

if TYPE_CHECKING:
    from pathlib import Path

    from lightkube import Client


def serve_nodes(client: Client) -> None:
    """Define our kinds of objects, and what nodes may read."""
    serve_our_kinds(client)
    for manifest in access(wraps_keys=False):
        client.apply(manifest, field_manager="test")


def as_agent(kubeconfig: Path, folder: Path) -> ApiServer:
    """Give the API server to an agent.

    Args:
        kubeconfig: of the kubelet; certificate and key are beside it.
        folder: gets both in one file, as the kubelet keeps them.
    """
    stem = kubeconfig.with_suffix("")
    certificate = folder / "kubelet-client-current.pem"
    certificate.write_text(stem.with_suffix(".crt").read_text() + stem.with_suffix(".key").read_text())
    return ApiServer(kubeconfig, certificate)
