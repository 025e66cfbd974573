# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of machines on this host need: QEMU and its companions, and TPMs that are quickly made."""

# ruff: noqa: PLC0415 - most runs of pytest need no machines

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def _programs() -> None:
    from constellation_engine.errors import MissingProgramError
    from constellation_engine.machines.firmware import find_ovmf

    for program in ("qemu-system-x86_64", "qemu-img", "swtpm", "swtpm_setup"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: there are no local machines")
    try:
        find_ovmf()
    except MissingProgramError as error:
        pytest.skip(f"{error}: there are no local machines")


@pytest.fixture(scope="session")
def _tpm(_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from constellation_engine.machines.layout import Layout
    from constellation_engine.machines.tpm import manufacture

    layout = Layout(tmp_path_factory.mktemp("tpm"))
    manufacture(layout)
    return layout.tpm_state


@pytest.fixture
def quick_tpm(_tpm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give new machines copies of one TPM: making one takes most of the time that making a machine takes."""
    copy = "constellation_engine.machines.creation.manufacture"
    monkeypatch.setattr(copy, lambda layout: shutil.copytree(_tpm, layout.tpm_state))
