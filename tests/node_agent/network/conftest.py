# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node between outside, mesh and pods, where this machine lets us make network namespaces."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.node_agent.network.topology import Topology, around_a_node

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def topology() -> Iterator[Topology]:
    """Namespaces of one test."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces with rules of their own")
    missing = [program for program in ("ip", "nft", "sysctl") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: iproute2, nftables, procps)")
    with around_a_node() as made:
        yield made
