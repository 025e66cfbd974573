# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The runner runs real tests against a real API server, and says why one does not pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.junit import Outcome
from tests.conformance.runner import BUILD_TIMEOUT
from tests.conformance.selection import ALL, WITHOUT_NODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constellation_engine.testing.control_plane import ControlPlane
    from tests.conformance.junit import Result
    from tests.conformance.runner import Runner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_TIMEOUT)]  # e2e.test may have to be built first

# No controller removes namespaces or makes service accounts, and there are no nodes to count.
ALONE = ("--num-nodes=1", "--delete-namespace=false", "--e2e-verify-service-account=false")


@pytest.fixture(scope="module")
def without_nodes(runner: Runner, control_plane: ControlPlane) -> Mapping[str, Result]:
    """What became of tests that need no nodes."""
    return runner.run(WITHOUT_NODES, control_plane.kubeconfig(), ALONE, timeout=600)


@pytest.mark.parametrize("name", WITHOUT_NODES)
def test_what_needs_no_nodes_passes_without(name: str, without_nodes: Mapping[str, Result]) -> None:
    assert without_nodes[name].outcome is Outcome.PASSED, without_nodes[name].reason


def test_a_test_that_fails_says_why(runner: Runner, control_plane: ControlPlane) -> None:
    hasty = [*ALONE, "--ginkgo.grace-period=5s"]
    result = runner.run(ALL[:1], control_plane.kubeconfig(), hasty, timeout=300)
    assert result[ALL[0]].outcome is Outcome.FAILED
    assert '"default" not found' in result[ALL[0]].reason  # there is no service account for its pod
