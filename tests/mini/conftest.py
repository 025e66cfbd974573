# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One real cluster on this machine for all tests here, made by the command that a user would type.

Its machines take all processors, so these tests come last. Each leaves the cluster as it found it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_engine.machines import machines
from constellation_engine.node_image.targets import Profile
from tests.mini.cluster import Cluster
from tests.mini.segment import Tap
from tests.node_image.built_images import kept_image

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let these tests come last."""
    items.sort(key=lambda item: "cluster" in getattr(item, "fixturenames", ()) and "tests/mini/" in item.nodeid)


@pytest.fixture(scope="session")
def cluster(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane and a worker, and somebody who listens on the network between them from the beginning.

    $CONSTELLATION_TEST_CLUSTER names the workspace of a cluster that is there, and stays.
    """
    if there := os.environ.get("CONSTELLATION_TEST_CLUSTER"):
        made = Cluster(Path(there))
        with Tap(made.segment) as made.tap:
            yield made
        return
    image = kept_image(repository, Profile.RELEASE)
    made = Cluster.new(tmp_path_factory.mktemp("mini") / "cluster", image)
    try:
        with Tap(made.segment) as made.tap:
            made.up()
            yield made
    finally:
        running = [machine.status().process for machine in machines(made.workspace.machines)]
        made.run("mini", "down")
        assert not made.folder.exists()
        assert not [process for process in running if process and _is_running(process)]


def _is_running(process: int) -> bool:
    """Tell whether a process runs; one that only waits for its parent to look does not."""
    status = Path("/proc", str(process), "status")
    return status.exists() and "State:\tZ" not in status.read_text()
