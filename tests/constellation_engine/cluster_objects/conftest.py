# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A clean cluster that knows our kinds of objects, and one node in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.known_nodes import some_identity

if TYPE_CHECKING:
    from lightkube import Client

    from constellation_core.cluster_objects import NodeIdentity
    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> None:
    """Our kinds of objects are served."""
    serve_our_kinds(control_plane.client())


@pytest.fixture
def client(kinds: None, clean_cluster: ControlPlane) -> Client:  # noqa: ARG001 - it has to be there
    """An administrator of a clean cluster."""
    return clean_cluster.client()


@pytest.fixture
def somebody(kinds: None, clean_cluster: ControlPlane) -> Client:  # noqa: ARG001 - the same
    """A user without any rights."""
    return clean_cluster.client(clean_cluster.kubeconfig("somebody"))


@pytest.fixture
def worker() -> NodeIdentity:
    return some_identity(addresses=("192.0.2.7",))
