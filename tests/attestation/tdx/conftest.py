# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A fake Intel, one of its platforms, and where the recorded quotes are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attestation.testing.tdx import FakeIntel, FakeTdxPlatform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {
    "dcap-qvl": "Phala-Network__dcap-qvl/sample/tdx_quote",
    "trustee-4-debug": "confidential-containers__trustee/deps/verifier/test_data/tdx_quote_4.dat",
    "trustee-5": "confidential-containers__trustee/deps/verifier/test_data/tdx_quote_5.dat",
    "azure": "confidential-containers__trustee/deps/verifier/test_data/az-tdx-vtpm/td-quote.bin",
    "sapphire-rapids": "google__go-tdx-guest/testing/testdata/tdx_prod_quote_SPR_E4.dat",
    "sgx": "Phala-Network__dcap-qvl/sample/sgx_quote",
    "dcap-qvl-collateral": "Phala-Network__dcap-qvl/sample/tdx_quote_collateral.json",
    "root-crl": "google__go-tdx-guest/testing/testdata/rootcrl.der",
    "platform-crl": "google__go-tdx-guest/testing/testdata/pckcrl",
    "ccel": "confidential-containers__trustee/deps/eventlog/test_data/CCEL_data_ovmf",
}


@pytest.fixture(scope="session")
def recorded(vectors: Path) -> Callable[[str], bytes]:
    """Give a recorded file by its short name."""
    return lambda name: (vectors / FILES[name]).read_bytes()


@pytest.fixture(scope="session")
def intel() -> FakeIntel:
    """The Intel that everybody here believes."""
    return FakeIntel()


@pytest.fixture
def platform(intel: FakeIntel) -> FakeTdxPlatform:
    """A platform on which everything is right."""
    return intel.platform()
