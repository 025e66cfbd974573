# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A guest is made, started, stopped and removed once each; tests/collection/hosts has one with a service manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from attestation.variant import Variant
from constellation_engine.errors import NodeImageError
from constellation_engine.machines import Machine, MachineState, SevSnp
from constellation_engine.machines.systemd import RUNNING
from constellation_engine.node_image.choosing import local_image
from constellation_engine.node_image.guest_platform import platform_of
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.testing.node_images import BUILD, FakeImage
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

RunGuest = Callable[..., dict[str, Any]]
NO_SYSTEMD = pytest.mark.skipif(RUNNING.is_dir(), reason="this machine has systemd")
SNP_METADATA = {"uid": "c0ffee", "role": "worker", "node_group": "workers"}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image that ends in its firmware: nothing of it runs."""
    return FakeImage().write(tmp_path / "image").path


@pytest.fixture
def guest(tmp_path: Path, image: Path, _programs: None, quick_tpm: None) -> Iterator[RunGuest]:  # noqa: ARG001 - they prepare
    """Run the module for one small guest, which is gone afterwards."""
    folder = tmp_path / "guests"

    def run(**options: Any) -> dict[str, Any]:  # noqa: ANN401 - as tasks give them
        usual = {"name": "node-0", "folder": str(folder), "image": str(image), "supervisor": "none"}
        sizes = {"cpus": 1, "memory": 128, "state_disk": 64, "durable": False}
        return run_module("guest", **{**usual, **sizes, **options})

    yield run
    Machine(folder / "node-0").destroy()


def test_its_life_is_led_once(guest: RunGuest) -> None:
    forwards = [{"name": "verification", "guest_port": 30081}]
    first = guest(forwards=forwards)
    assert first["changed"]
    assert first["variant"] == "qemu-vtpm"
    again = guest(forwards=forwards)
    assert not again["changed"]
    assert again["ports"] == first["ports"] != {"verification": 0}
    stopped = guest(forwards=forwards, state="stopped")
    assert stopped["changed"]
    assert stopped["diff"]["before"].startswith("guest: running")
    assert not guest(forwards=forwards, state="stopped")["changed"]
    assert guest(state="absent")["changed"]
    assert not guest(state="absent")["changed"]


def test_check_mode_predicts_and_makes_nothing(guest: RunGuest, tmp_path: Path) -> None:
    answer = guest(check=True)
    assert answer["changed"]
    assert answer["diff"]["before"].startswith("guest: absent")
    assert answer["diff"]["after"].startswith("guest: running")
    assert not (tmp_path / "guests").exists()


def test_a_guest_that_was_made_stopped_starts(guest: RunGuest, tmp_path: Path) -> None:
    assert guest(state="stopped")["power"] == "stopped"
    assert guest()["changed"]
    assert Machine(tmp_path / "guests" / "node-0").status().state is MachineState.RUNNING


def test_another_description_is_refused_and_named(guest: RunGuest) -> None:
    guest(state="stopped")
    for check in (True, False):
        answer = guest(state="stopped", memory=256, check=check)
        assert answer["failed"]
        assert "another description: memory" in answer["msg"]


def test_the_launch_of_an_snp_guest_carries_its_role(tmp_path: Path) -> None:
    folder = FakeImage().write(tmp_path / "snp")
    folder.place(ImageFile.BUILD).write_bytes(replace(BUILD, variant=Variant.QEMU_SNP).to_document())
    for file in (ImageFile.KERNEL, ImageFile.INITRD, ImageFile.COMMAND_LINE):
        folder.place(file).write_text("quiet")
    platform = platform_of(local_image(folder.path), "worker-0", SNP_METADATA)
    assert isinstance(platform, SevSnp)
    assert platform.manifest.role == "worker"
    assert platform.boot.command_line == "quiet"
    with pytest.raises(NodeImageError, match="expected role, node_group"):
        platform_of(local_image(folder.path), "worker-0", {"uid": "c0ffee", "role": 1})


@pytest.mark.parametrize(
    "options, said",
    [
        ({"name": "Node_0"}, "Name of a guest: expected"),
        ({"state": "paused"}, "state"),
        ({"image": None}, "Option image: expected the folder of a node image"),
        ({"image": "/nowhere"}, "/nowhere"),
        ({"variant": "qemu-snp"}, "Option variant: expected qemu-vtpm"),
        ({"variant": "qemu-tdx"}, "variant"),
        ({"cpus": 0}, "Cpus: expected 1 to 255"),
        ({"memory": 1}, "Memory in MiB"),
        ({"state_disk": 1}, "State disk in MiB"),
        ({"segment": "mini", "addresses": ["everywhere"]}, "Option addresses: expected"),
        ({"addresses": ["192.168.77.1/24"]}, "segment"),
        ({"forwards": [{"name": "x", "guest_port": 0}]}, "Guest port of x"),
        ({"cpu_model": "486"}, "cpu_model"),
        ({"metadata": {"network": []}}, "network"),
        ({"supervisor": "init"}, "supervisor"),
        pytest.param({"supervisor": "systemd"}, "Expected systemd", marks=NO_SYSTEMD),
    ],
)
def test_what_is_wrong_with_options_is_named(options: dict[str, Any], said: str, guest: RunGuest) -> None:
    answer = guest(**options)
    assert answer["failed"]
    assert said in answer["msg"]
