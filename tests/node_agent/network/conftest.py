# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node between outside, mesh and pods, where this machine lets us make network namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.node_agent.network.topology import Topology, around_a_node, require_namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def topology() -> Iterator[Topology]:
    """Namespaces of one test."""
    require_namespaces()
    with around_a_node() as made:
        yield made
