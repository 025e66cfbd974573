# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TPMs of nodes that belong to the cluster, for all tests of the run: services come and go, registers stay."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from constellation_services.testing.verified_node import CLUSTER_ID, node_tpm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm


@pytest.fixture(scope="session")
def tpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Swtpm, ...]]:
    """The TPMs of three nodes with the mark of the cluster."""
    if shutil.which("swtpm") is None:
        pytest.skip("the program swtpm is not installed (Debian: swtpm)")
    with ExitStack() as stack:
        yield tuple(stack.enter_context(node_tpm(tmp_path_factory.mktemp("tpm"), CLUSTER_ID)) for _ in range(3))


@pytest.fixture
def tpm(tpms: tuple[Swtpm, ...]) -> Swtpm:
    """The first of them."""
    return tpms[0]


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder for a TPM of another kind."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    return folder
