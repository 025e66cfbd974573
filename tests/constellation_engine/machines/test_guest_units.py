# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Units of guests: what they say, and where there can be none. tests/collection/hosts runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from constellation_engine.errors import MachineSpecError, ServiceManagerError
from constellation_engine.machines.systemd import RUNNING, Systemd, unit_name, unit_text


def test_a_unit_names_its_machine_and_leaves_no_capability() -> None:
    lines = unit_text(Path("/var/lib/guests/node-0"), Path("/opt/library/bin/python")).splitlines()
    assert unit_name("node-0") == "constellation-guest-node-0.service"
    assert "PIDFile=/var/lib/guests/node-0/qemu.pid" in lines
    assert "ExecStart=/opt/library/bin/python -m constellation_engine.machines start /var/lib/guests/node-0" in lines
    assert "CapabilityBoundingSet=" in lines


@pytest.mark.parametrize("folder", ["/a b/node-0", "/50%/node-0", "/a\nExecStartPre=x/node-0", "/$HOME/node-0"])
def test_a_path_that_means_something_in_a_unit_is_refused(folder: str) -> None:
    with pytest.raises(MachineSpecError, match="a unit can have only"):
        unit_text(Path(folder))


@pytest.mark.skipif(RUNNING.is_dir(), reason="this machine has systemd")
def test_a_host_without_systemd_is_told_so() -> None:
    with pytest.raises(ServiceManagerError, match="expected systemd"):
        Systemd()


@pytest.mark.parametrize("action", ["start", "stop"])
def test_the_program_of_units_says_what_is_wrong(action: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "constellation_engine.machines", action, str(tmp_path / "absent")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert "expected a machine, there is none" in done.stderr
