# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster that is tested, and the results of one run of all chosen tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conformance.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conformance.junit import Result

VARIABLE = "CONSTELLATION_CONFORMANCE_KUBECONFIG"


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Kubernetes' own tests, ready to run."""
    return Runner(tmp_path_factory.mktemp("e2e"))


@pytest.fixture(scope="session")
def conformance_cluster() -> Path:
    """The kubeconfig of a cluster whose nodes have the images of `conformance_images`."""
    if VARIABLE not in os.environ:
        pytest.skip(f"no cluster: {VARIABLE} does not name the kubeconfig of one")
    return Path(os.environ[VARIABLE])


@pytest.fixture(scope="session")
def results(runner: Runner, conformance_cluster: Path, request: pytest.FixtureRequest) -> Mapping[str, Result]:
    """What became of the tests that pytest was asked for: one run for all, so that the cluster is waited for once."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    names = [str(call.params["conformance_test"]) for call in calls if call and "conformance_test" in call.params]
    return runner.run(names, conformance_cluster)
