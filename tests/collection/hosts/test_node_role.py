# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The agent on an existing machine: never without consent, never on a disk with data, never under a measured name."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.node_images import KEY
from tests.collection.hosts import bed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.collection.playing import Player

ROLE: dict[str, Any] = {"ansible.builtin.include_role": {"name": "constellation.core.node"}}
NODE: dict[str, Any] = {
    "node_accept_unmeasured": True,
    "node_state_disk": "/dev/null",
    "node_metadata": {"uid": "c0ffee", "role": "worker", "node_group": "workers", "peers": []},
    "node_image_key": public_pem(KEY).decode(),
    "node_kubernetes": "v1.36.4",
    "node_library": sys.prefix,
    "node_programs": ["sh"],
}
UNIT = "constellation-node-agent.service"


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"node_accept_unmeasured": False}, "This machine is not measured"),
        ({"node_library": "/nowhere"}, "Option node_library: expected the library with its extra agent in /nowhere"),
        ({"node_programs": ["sh", "kubelet-of-nobody"]}, "This machine has no kubelet-of-nobody"),
        ({}, "Option node_state_disk: expected a block device that is empty"),
    ],
)
def test_what_is_wrong_with_variables_is_named(wrong: dict[str, Any], said: str, play: Player) -> None:
    played = play([ROLE], variables={**NODE, **wrong})
    assert played.status == 2
    assert said in " ".join(played.text.split())
    assert played.changed == {"localhost": 0}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A block device with nothing on it."""
    file = tmp_path / "disk"
    with file.open("wb") as content:
        content.truncate(64 << 20)
    made = subprocess.run(["losetup", "--find", "--show", file], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no loop devices here: {made.stderr.strip()}")
    yield made.stdout.strip()
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


@pytest.fixture
def machine(_bed: None, disk: str, tmp_path: Path) -> Iterator[bed.Host]:
    """A machine that somebody installed, with an empty disk."""
    with ExitStack() as stack:
        try:
            options = (*bed.programs_of_this_machine(), f"--bind={disk}")
            host = stack.enter_context(bed.booted("machine-0", tmp_path / "hosts", *options))
        except bed.NoBedError as error:
            pytest.skip(str(error))
        yield host


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_agent_runs_and_says_what_it_is(play: Player, machine: bed.Host, disk: str, tmp_path: Path) -> None:
    inventory = bed.write_inventory([machine], tmp_path / "inventory.json", group="machines")
    wanted = {**NODE, "node_state_disk": disk}
    first = play([ROLE], inventory=inventory, variables=wanted)
    assert first.status == 0, first.text
    assert machine.run("systemctl", "is-active", UNIT).stdout == "active\n"
    assert json.loads(machine.read("/etc/constellation/node/image.json"))["variant"] == "insecure"
    assert "not measured" in machine.run("systemctl", "status", "--no-pager", UNIT).stdout
    assert play([ROLE], inventory=inventory, variables=wanted).changed == {"machine-0": 0}
    machine.run("mkfs.ext4", "-q", disk)
    refused = play([ROLE], inventory=inventory, variables=wanted)
    assert refused.status == 2
    assert "The agent would format it" in refused.text
