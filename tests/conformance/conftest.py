# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster that is tested, and the results of one run of all chosen tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_engine.node_image.targets import Profile
from tests.conformance.images import conformance_images
from tests.conformance.runner import Runner
from tests.mini.cluster import Cluster
from tests.node_image.built_images import kept_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.conformance.junit import Result

VARIABLE = "CONSTELLATION_CONFORMANCE_KUBECONFIG"


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Kubernetes' own tests, ready to run."""
    return Runner(tmp_path_factory.mktemp("e2e"))


@pytest.fixture(scope="session")
def conformance_cluster(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a cluster whose nodes have the images of `conformance_images`.

    $CONSTELLATION_CONFORMANCE_KUBECONFIG names that of a cluster that is there, and stays.
    """
    if VARIABLE in os.environ:
        yield Path(os.environ[VARIABLE])
        return
    image = kept_image(repository, Profile.RELEASE, name="conformance", containers=conformance_images())
    made = Cluster.new(tmp_path_factory.mktemp("conformance") / "cluster", image)
    try:
        made.up()
        yield made.folder / "kubeconfig"
    finally:
        made.run("mini", "down")


@pytest.fixture(scope="session")
def results(runner: Runner, conformance_cluster: Path, request: pytest.FixtureRequest) -> Mapping[str, Result]:
    """What became of the tests that pytest was asked for: one run for all, so that the cluster is waited for once."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    names = [str(call.params["conformance_test"]) for call in calls if call and "conformance_test" in call.params]
    return runner.run(names, conformance_cluster)
