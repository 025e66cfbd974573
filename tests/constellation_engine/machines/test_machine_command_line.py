# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of QEMU, looked at; test_machine_life.py runs it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from constellation_engine.machines import (
    Accelerator,
    DirectBoot,
    Forward,
    LaunchManifest,
    MachineSpec,
    Segment,
    SevSnp,
    TpmInterface,
    VcpuModel,
    Vtpm,
)
from constellation_engine.machines.config_drive import Nic, mac_address
from constellation_engine.machines.layout import Layout
from constellation_engine.machines.qemu import Launch, command_line

FOLDER = Path("/machines/node-0")
MANIFEST = LaunchManifest(uid="u", name="node-0", role="control-plane", node_group="g", image_key="00" * 32)
BOOT = DirectBoot(Path("/image/kernel"), Path("/image/initrd"), "console=ttyS0 roothash=11,22")
PLAIN = MachineSpec(image=Path("/image.raw"), cpus=3, memory=3072)
SNP = replace(PLAIN, platform=SevSnp(BOOT, MANIFEST, VcpuModel.MILAN))
NETWORKED = replace(
    PLAIN,
    forwards=(Forward("init", 9000, 20001), Forward("api", 6443, 20002)),
    segment=Segment.of("cluster"),
    capture=True,
)


def arguments(spec: MachineSpec, accelerator: Accelerator = Accelerator.TCG) -> list[str]:
    snp = isinstance(spec.platform, SevSnp)
    launch = Launch(
        name="node-0",
        spec=spec,
        layout=Layout(FOLDER),
        accelerator=accelerator,
        code=FOLDER / "firmware.raw",
        variables=None if snp else FOLDER / "variables.raw",
        tpm=None if snp else 7,
    )
    return command_line(launch)


def values(option: str, spec: MachineSpec, accelerator: Accelerator = Accelerator.TCG) -> list[str]:
    return [value for name, value in pairwise(arguments(spec, accelerator)) if name == f"-{option}"]


def test_it_has_the_size_that_is_wanted() -> None:
    assert values("smp", PLAIN) == ["3"]
    assert values("m", PLAIN) == ["3072"]


@pytest.mark.parametrize("spec", [PLAIN, NETWORKED, SNP])
def test_no_entropy_comes_from_the_host(spec: MachineSpec) -> None:
    assert not [argument for argument in arguments(spec) if "rng" in argument]


@pytest.mark.parametrize("spec", [PLAIN, SNP])
def test_nothing_is_there_that_nobody_asked_for(spec: MachineSpec) -> None:
    assert {"-nodefaults", "-no-user-config"} <= set(arguments(spec))


def test_emulation_has_a_processor_that_it_can_emulate() -> None:
    assert values("accel", PLAIN) == ["tcg,thread=multi,tb-size=2048"]
    assert values("cpu", PLAIN) == ["max,la57=off,-cx16,-erms"]


def test_kvm_has_the_processor_of_the_host() -> None:
    assert values("accel", PLAIN, Accelerator.KVM) == ["kvm"]
    assert values("cpu", PLAIN, Accelerator.KVM) == ["host"]


@pytest.mark.parametrize("interface", list(TpmInterface))
def test_the_tpm_is_behind_the_descriptor(interface: TpmInterface) -> None:
    spec = replace(PLAIN, platform=Vtpm(interface))
    assert "socket,id=tpm,fd=7" in values("chardev", spec)
    assert f"{interface},tpmdev=tpm0" in values("device", spec)


def test_the_firmware_is_read_only_and_its_variables_are_not() -> None:
    code, variables, *_ = values("drive", PLAIN)
    assert code == f"if=pflash,format=raw,unit=0,readonly=on,file={FOLDER}/firmware.raw"
    assert variables == f"if=pflash,format=raw,unit=1,file={FOLDER}/variables.raw"


def test_it_boots_from_its_disk() -> None:
    assert [device for device in values("device", PLAIN) if "bootindex" in device] == [
        "virtio-blk-pci,drive=disk,bootindex=0"
    ]


def test_the_guest_finds_the_state_disk_by_its_serial() -> None:
    assert "virtio-blk-pci,drive=state,serial=constellation-state" in values("device", PLAIN)


def test_the_config_drive_is_read_only() -> None:
    assert f"if=none,id=config,format=raw,readonly=on,file={FOLDER}/config.iso" in values("drive", PLAIN)


@pytest.mark.parametrize("durable,cache", [(False, "unsafe"), (True, "writeback")])
def test_flushes_cost_only_who_wants_them(durable: bool, cache: str) -> None:
    disk, state = (drive for drive in values("drive", replace(PLAIN, durable=durable)) if "cache=" in drive)
    assert f"cache={cache}" in disk
    assert f"cache={cache}" in state


def test_forwards_are_open_to_this_host_only() -> None:
    (user,) = (network for network in values("netdev", NETWORKED) if network.startswith("user"))
    assert user.endswith(",hostfwd=tcp:127.0.0.1:20001-:9000,hostfwd=tcp:127.0.0.1:20002-:6443")


@pytest.mark.parametrize("isolated,restrict", [(False, "off"), (True, "on")])
def test_an_isolated_machine_reaches_nobody(isolated: bool, restrict: str) -> None:
    (user,) = values("netdev", replace(PLAIN, isolated=isolated))
    assert f"restrict={restrict}" in user


def test_the_segment_stays_on_the_loopback() -> None:
    assert NETWORKED.segment is not None
    group = f"{NETWORKED.segment.group}:{NETWORKED.segment.port}"
    assert f"socket,id=segment,mcast={group},localaddr=127.0.0.1" in values("netdev", NETWORKED)
    assert values("object", NETWORKED) == [f"filter-dump,id=capture,netdev=segment,file={FOLDER}/segment.pcap"]


def test_network_cards_have_addresses_of_their_own() -> None:
    cards = [mac_address(name, nic) for name in ("node-0", "node-1") for nic in Nic]
    assert len(set(cards)) == 4
    assert all(f"mac={card}" in " ".join(arguments(NETWORKED)) for card in cards[:2])


def test_sockets_are_named_relative_to_the_folder() -> None:
    sockets = [value for value in values("chardev", PLAIN) if "path=" in value]
    assert len(sockets) == 2
    assert not [value for value in sockets if "path=/" in value]


def test_its_processes_can_be_told_from_all_others() -> None:
    assert values("pidfile", PLAIN) == [f"{FOLDER}/qemu.pid"]
    assert Layout(FOLDER).qemu == ("-pidfile", f"{FOLDER}/qemu.pid")


def test_an_snp_guest_is_launched_with_hashes_of_what_it_boots() -> None:
    (guest,) = (value for value in values("object", SNP) if value.startswith("sev-snp-guest"))
    assert "kernel-hashes=on" in guest.split(",")
    assert values("kernel", SNP) == ["/image/kernel"]
    assert values("initrd", SNP) == ["/image/initrd"]
    assert values("append", SNP) == ["console=ttyS0 roothash=11,22"]
    assert values("bios", SNP) == [f"{FOLDER}/firmware.raw"]


def test_an_snp_guest_carries_its_launch_manifest() -> None:
    (guest,) = (value for value in values("object", SNP) if value.startswith("sev-snp-guest"))
    (encoded,) = (part for part in guest.split(",") if part.startswith("host-data="))
    assert base64.b64decode(encoded.partition("=")[2]) == hashlib.sha256(MANIFEST.document()).digest()


def test_an_snp_guest_has_encrypted_memory_and_a_measured_processor() -> None:
    (machine,) = values("machine", SNP)
    assert machine.endswith("confidential-guest-support=snp,memory-backend=memory")
    assert "memory-backend-memfd,id=memory,size=3072M,share=true,prealloc=false" in values("object", SNP)
    assert values("accel", SNP) == ["kvm"]
    assert values("cpu", SNP) == ["EPYC-Milan"]
    assert "policy=0x30000" in " ".join(values("object", SNP))


def test_an_snp_guest_has_no_tpm_of_the_host() -> None:
    assert not [argument for argument in arguments(SNP) if "tpm" in argument]
