# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine lacks for a cluster is found before anything is made, all of it at once, each with what to do."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.errors import MissingProgramError, RequirementError
from constellation_engine.local_cluster import requirements
from constellation_engine.local_cluster.requirements import Finding, of_cluster, of_machine, require
from constellation_engine.local_cluster.workspace import ClusterSpec
from constellation_engine.machines import Forward, MachineSpec, Probe
from constellation_engine.machines.firmware import Firmware
from constellation_engine.machines.spec_file import to_json
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.node_images import CREATED, OTHER_KEY, FakeImage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spec(tmp_path: Path) -> ClusterSpec:
    return ClusterSpec(image=FakeImage().write(tmp_path / "image").path, workers=1)


@pytest.fixture(autouse=True)
def machine_with_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has all programs, enough memory, and no KVM."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in requirements.PROGRAMS:
        (programs / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(requirements, "available_memory", lambda: 16_000)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(requirements, "find_ovmf", lambda: Firmware(programs / "OVMF.fd", None))
    monkeypatch.setattr(requirements, "probe_kvm", lambda _: Probe(usable=False, reason="there is no /dev/kvm"))
    return programs


def finding(name: str, found: tuple[Finding, ...]) -> Finding:
    return next(one for one in found if one.name == name)


def stopped_machine(folder: Path, image: Path, port: int) -> None:
    """Write down a machine that is switched off."""
    place = folder / "machines" / "worker-0"
    place.mkdir(parents=True)
    spec = MachineSpec(image=image, forwards=(Forward("verification", 30081, port),))
    (place / "spec.json").write_text(to_json(spec.settled({})))


def test_where_nothing_is_missing_a_cluster_can_be_made(spec: ClusterSpec, tmp_path: Path) -> None:
    found = of_cluster(spec, tmp_path / "mini")
    require(found)
    assert all(one.fix == "" for one in found)
    assert not (tmp_path / "mini").exists()


def test_everything_that_is_missing_is_named_at_once(
    spec: ClusterSpec, tmp_path: Path, machine_with_everything: Path
) -> None:
    (machine_with_everything / "swtpm").unlink()
    with pytest.raises(RequirementError, match="swtpm: not installed; memory of a machine: 1024 MiB") as caught:
        require(of_cluster(replace(spec, memory=1024), tmp_path))
    assert "install the package swtpm" in caught.value.hint
    assert "give each machine at least 2048 MiB" in caught.value.hint


@pytest.mark.parametrize("control_planes, workers, good", [(1, 1, True), (1, 2, True), (1, 3, False), (3, 0, False)])
def test_emulated_machines_that_idle_leave_something_of_the_processors(
    spec: ClusterSpec, tmp_path: Path, control_planes: int, workers: int, good: bool
) -> None:
    found = finding("processors", of_cluster(replace(spec, control_planes=control_planes, workers=workers), tmp_path))
    assert (found.good, found.needed, bool(found.fix)) == (good, False, not good)


def test_with_kvm_few_processors_are_enough(spec: ClusterSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "probe_kvm", lambda _: Probe(usable=True, reason=""))
    assert finding("processors", of_cluster(replace(spec, control_planes=3), tmp_path)).good


def test_a_program_is_named_with_its_package(spec: ClusterSpec, tmp_path: Path, machine_with_everything: Path) -> None:
    (machine_with_everything / "qemu-img").unlink()
    found = finding("qemu-img", of_cluster(spec, tmp_path))
    assert (found.good, found.fix[:35]) == (False, "install the package qemu-utils (Deb")


def test_firmware_that_is_missing_is_named(spec: ClusterSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> None:
        raise MissingProgramError("none", hint="install the package ovmf")

    monkeypatch.setattr(requirements, "find_ovmf", nowhere)
    assert finding("firmware OVMF", of_cluster(spec, tmp_path)).fix == "install the package ovmf"


def test_half_the_memory_is_too_little(spec: ClusterSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "available_memory", lambda: 3200)
    with pytest.raises(RequirementError, match="3200 MiB available, 2 machines take 10496"):
        require(of_cluster(spec, tmp_path))


def test_a_machine_that_is_not_emulated_takes_less(
    spec: ClusterSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "available_memory", lambda: 6400)
    assert not finding("memory", of_cluster(spec, tmp_path)).good
    monkeypatch.setattr(requirements, "probe_kvm", lambda _: Probe(usable=True))
    assert finding("memory", of_cluster(spec, tmp_path)).good


@pytest.mark.parametrize("field, least", [("cpus", 2), ("memory", 2048), ("state_disk", 2048)])
def test_a_machine_that_is_too_small_is_refused(spec: ClusterSpec, tmp_path: Path, field: str, least: int) -> None:
    enough: dict[str, Any] = {field: least}
    too_little: dict[str, Any] = {field: least - 1}
    require(of_cluster(replace(spec, **enough), tmp_path))
    with pytest.raises(RequirementError, match=f" of a machine: {least - 1}"):
        require(of_cluster(replace(spec, **too_little), tmp_path))


def test_a_disk_that_is_too_full_is_refused(spec: ClusterSpec, tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match="a state disk has 16000000"):
        require(of_cluster(replace(spec, state_disk=16_000_000), tmp_path))


def test_a_port_that_somebody_took_is_named(spec: ClusterSpec, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stopped_machine(tmp_path / "mini", spec.image, taken.getsockname()[1])
        found = finding("ports of worker-0", of_cluster(spec, tmp_path / "mini"))
    assert not found.good
    assert "ss -ltnp" in found.fix


def test_a_port_that_is_free_is_shown(spec: ClusterSpec, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    stopped_machine(tmp_path / "mini", spec.image, port)
    assert finding("ports of worker-0", of_cluster(spec, tmp_path / "mini")).found == f"{port} are free"


def test_a_clock_before_the_image_is_refused(
    spec: ClusterSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "_CLOCK_SKEW", timedelta(days=-400_000))
    with pytest.raises(RequirementError, match=f"the image is from {CREATED:%Y-%m-%d}"):
        require(of_cluster(spec, tmp_path))


def test_a_machine_without_kvm_is_slow_and_no_more(spec: ClusterSpec, tmp_path: Path) -> None:
    found = of_machine(spec, tmp_path / "mini", lambda _: None)
    require(found)
    assert finding("KVM", found) == Finding(
        name="KVM",
        good=False,
        found="there is no /dev/kvm",
        fix="machines are emulated, ten times slower: on a machine with KVM a cluster takes a minute",
        needed=False,
    )


def test_an_image_is_read_and_its_signature_checked(spec: ClusterSpec, tmp_path: Path) -> None:
    found = of_machine(spec, tmp_path, lambda _: None)
    assert finding("its signature", found).found == "holds: constellation-node 0.1.0, qemu-vtpm"


def test_an_image_that_is_not_there_is_named_with_what_makes_one(spec: ClusterSpec, tmp_path: Path) -> None:
    found = of_machine(replace(spec, image=tmp_path / "nowhere"), tmp_path, lambda _: None)
    assert "constellation image build makes one" in finding("node image", found).fix
    with pytest.raises(RequirementError, match="node image"):
        require(found)


def test_an_image_without_its_disk_is_refused(spec: ClusterSpec, tmp_path: Path) -> None:
    (spec.image / ImageFile.DISK).unlink()
    assert not finding("node image", of_machine(spec, tmp_path, lambda _: None)).good


def test_an_image_whose_signature_does_not_hold_is_refused(spec: ClusterSpec, tmp_path: Path) -> None:
    (spec.image / ImageFile.PUBLIC_KEY).write_bytes(public_pem(OTHER_KEY))
    with pytest.raises(RequirementError, match="its signature"):
        require(of_machine(spec, tmp_path, lambda _: None))


def test_a_workspace_that_others_may_use_is_refused(spec: ClusterSpec, tmp_path: Path) -> None:
    folder = tmp_path / "mini"
    folder.mkdir()
    folder.chmod(0o755)
    assert finding("workspace", of_machine(spec, folder, lambda _: None)).fix == f"chmod 700 {folder}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_workspace_that_cannot_be_written_is_refused(spec: ClusterSpec, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    found = finding("workspace", of_machine(spec, tmp_path / "closed" / "mini", lambda _: None))
    assert "cannot be written" in found.found
