# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The verification service on a node with a real TPM made of software."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from constellation_services.testing.verified_node import CLUSTER_ID, node_tpm, serving_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from attestation.testing.swtpm import Swtpm
    from constellation_services.verify.service import Listening


@pytest.fixture(scope="session")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swtpm]:
    """The TPM of a node with the mark of the cluster."""
    if shutil.which("swtpm") is None:
        pytest.skip("the program swtpm is not installed (Debian: swtpm)")
    with node_tpm(tmp_path_factory.mktemp("tpm"), CLUSTER_ID) as running:
        yield running


@pytest.fixture
async def node(tpm: Swtpm) -> AsyncIterator[Listening]:
    """The service on it."""
    async with serving_node("worker-1", tpm) as listening:
        yield listening
