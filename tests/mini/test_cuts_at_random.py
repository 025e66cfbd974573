# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Power that goes while a cluster is made: whatever the moment, the same command goes on where it was."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from constellation_engine.node_image.targets import Profile
from tests.mini.cluster import Cluster
from tests.mini.segment import Tap
from tests.node_image.built_images import kept_image

if TYPE_CHECKING:
    from pathlib import Path

CUTS = 10
LONGEST = 240.0  # seconds after power-on: init and join of an emulated machine are over by then


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_the_same_command_goes_on_after_power_cuts_at_random_moments(repository: Path, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - to try the same again
    moments = random.Random(seed)
    made = Cluster.new(tmp_path / "cluster", kept_image(repository, Profile.RELEASE))
    try:
        with Tap(made.segment) as made.tap:
            for _ in range(CUTS):
                with made.coming_up():
                    time.sleep(moments.uniform(20, LONGEST))  # the moment is what is tried
                    made.machine(moments.choice(["control-plane-0", "worker-0"])).stop()
            made.up()
            made.run("mini", "stop")
            made.up()
        assert sorted(made.ready()) == ["control-plane-0", "worker-0"]
        secrets = [made.workspace.master_secret().secret.reveal(), made.workspace.init_secret().reveal()]
        for name in ("control-plane-0", "worker-0"):
            assert not [secret for secret in secrets if made.on_disk(name, secret)]
    finally:
        made.run("mini", "down")
