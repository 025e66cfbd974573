# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: the repository, the recorded vectors, and the profiles of hypothesis."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from constellation_engine.testing.control_plane import ControlPlane

LeastTime = Callable[[Callable[[], object]], float]

REPOSITORY = Path(__file__).parents[1]

pytest_plugins = ["tests.guest.plugin", "tests.local_machines"]

# A continuous run must not fail by luck: it always tries the same examples. A developer's run tries new ones.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=5000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session")
def least_time() -> LeastTime:
    """Measure what a call costs, whatever else this machine does: least processor time of five calls, in seconds."""
    return _least_time


def _least_time(call: Callable[[], object]) -> float:
    def once() -> float:
        start = time.process_time()
        call()
        return time.process_time() - start

    return min(once() for _ in range(5))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Folder of the recorded real evidence, or a skip where it is not beside the repository."""
    folder = Path(os.environ.get("CONSTELLATION_VECTORS") or REPOSITORY.parent / "shared" / "vectors")
    if not folder.is_dir():
        pytest.skip(f"no recorded vectors at {folder} (CONSTELLATION_VECTORS names another place)")
    return folder


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A Kubernetes API server for all tests of a run; one that wants it empty asks for `clean_cluster`."""
    from constellation_engine.testing.control_plane import running_control_plane  # noqa: PLC0415 - most do not need it

    with running_control_plane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def clean_cluster(control_plane: ControlPlane) -> ControlPlane:
    """The API server without what other tests left, and with our namespace."""
    control_plane.clean()
    return control_plane
