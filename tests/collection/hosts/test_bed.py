# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts for tests can be made here, run a systemd of their own, and forget everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.collection.hosts import bed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(bed.MAKE_TIMEOUT)
def test_a_host_is_made_and_forgets(tmp_path: Path) -> None:
    try:
        bed.require()
    except bed.NoBedError as error:
        pytest.skip(str(error))
    with bed.booted("first", tmp_path) as host:
        assert host.run("systemctl", "--failed", "--quiet").stdout == ""
        assert host.run("touch", "/etc/forgotten").returncode == 0
    assert not (bed.root() / "etc" / "forgotten").exists()
