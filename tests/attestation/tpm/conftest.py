# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""TPMs for tests: one real swtpm for the session, fresh ones where registers matter, software ones for lies."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from attestation.testing.swtpm import running_swtpm
from attestation.tpm.client import Tpm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm

LOADED_OBJECTS, HMAC_SESSIONS, POLICY_SESSIONS = 0x80000000, 0x02000000, 0x03000000


@pytest.fixture(scope="session")
def swtpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swtpm]:
    """A manufactured TPM that runs during the whole session."""
    _require_swtpm()
    with running_swtpm(tmp_path_factory.mktemp("tpm")) as running:
        yield running


@pytest.fixture
def tpm(swtpm: Swtpm) -> Iterator[Tpm]:
    """A connection to the TPM of the session; whoever leaves something loaded fails."""
    with Tpm.open(swtpm.address) as client:
        yield client
        assert loaded(client) == ()


@pytest.fixture
def fresh_tpm(tmp_path: Path) -> Iterator[Tpm]:
    """A TPM of its own, without endorsement keys, whose registers nobody has touched."""
    _require_swtpm()
    with running_swtpm(tmp_path, endorsed=False) as running, Tpm.open(running.address) as client:
        yield client


def loaded(tpm: Tpm) -> tuple[int, ...]:
    """Everything that takes a slot in the TPM."""
    return tuple(handle for kind in (LOADED_OBJECTS, HMAC_SESSIONS, POLICY_SESSIONS) for handle in tpm.handles(kind))


def _require_swtpm() -> None:
    for program in ("swtpm", "swtpm_setup"):
        if shutil.which(program) is None:
            pytest.skip(f"the program {program} is not installed (Debian: swtpm, swtpm-tools)")
