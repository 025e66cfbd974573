# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of QEMU, as a pure function of what a machine is.

`qemu-vtpm` boots the UKI of its disk through OVMF. `qemu-snp` is launched with kernel, initrd and command line, which
the AmdSev build of OVMF compares with the hashes in the measured launch (QEMU docs/system/i386/amd-memory-encryption;
needs QEMU 9.1). No variant has an entropy device: a guest must not take random numbers from its host.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_engine.machines.config_drive import Nic, mac_address
from constellation_engine.machines.disks import STATE_DISK_SERIAL, ImageFormat
from constellation_engine.machines.spec import SevSnp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.machines.acceleration import Accelerator
    from constellation_engine.machines.layout import Layout
    from constellation_engine.machines.spec import MachineSpec

_ENCRYPTION_BIT: Final = 51  # where a page table entry says "encrypted", on every processor with SEV-SNP
_LOST_ADDRESS_BITS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that one start of a machine depends on.

    Attributes:
        name: of the machine.
        spec: its description; every forward has a host port.
        layout: its folder.
        accelerator: who runs its instructions; an SEV-SNP guest has only KVM.
        code: its firmware.
        variables: flash memory of the firmware; None for SEV-SNP.
        tpm: descriptor that leads to its TPM; None for SEV-SNP.
    """

    name: str
    spec: MachineSpec
    layout: Layout
    accelerator: Accelerator
    code: Path
    variables: Path | None
    tpm: int | None


def command_line(launch: Launch) -> list[str]:
    """Give the arguments of QEMU, without its own name.

    Sockets are named relative to the folder of the machine, in which QEMU has to be started: unix(7) has 107 bytes.
    """
    spec = launch.spec
    platform = (
        _snp(launch, spec.platform) if isinstance(spec.platform, SevSnp) else _vtpm(launch, spec.platform.interface)
    )
    return [
        *("-name", launch.name),
        *platform,
        *("-smp", str(spec.cpus), "-m", str(spec.memory)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *_disks(launch),
        *_networks(launch),
        *_channels(),
        *("-daemonize", *launch.layout.qemu),
        *("-D", str(launch.layout.qemu_log)),  # what it says once it is in the background
    ]


def _vtpm(launch: Launch, interface: str) -> Iterator[str]:
    yield from ("-machine", "q35,smm=off,vmport=off")
    yield from launch.accelerator.arguments
    yield from ("-drive", f"if=pflash,format={_format(launch.code)},unit=0,readonly=on,file={launch.code}")
    if launch.variables:
        yield from ("-drive", f"if=pflash,format={_format(launch.variables)},unit=1,file={launch.variables}")
    yield from ("-chardev", f"socket,id=tpm,fd={launch.tpm}", "-tpmdev", "emulator,id=tpm0,chardev=tpm")
    yield from ("-device", f"{interface},tpmdev=tpm0")


def _snp(launch: Launch, platform: SevSnp) -> Iterator[str]:
    """Give what an SEV-SNP guest needs. The id of the processor, which is measured, is that of its model."""
    boot = platform.boot
    host_data = base64.b64encode(platform.manifest.host_data()).decode("ascii")
    guest = {
        "policy": f"{platform.policy:#x}",
        "cbitpos": _ENCRYPTION_BIT,
        "reduced-phys-bits": _LOST_ADDRESS_BITS,
        "kernel-hashes": "on",
        "host-data": host_data,
    }
    options = ",".join(f"{name}={value}" for name, value in guest.items())
    memory = f"memory-backend-memfd,id=memory,size={launch.spec.memory}M,share=true,prealloc=false"
    machine = "q35,smm=off,vmport=off,confidential-guest-support=snp,memory-backend=memory"
    yield from ("-machine", machine, "-accel", "kvm", "-cpu", platform.model)
    yield from ("-object", memory, "-object", f"sev-snp-guest,id=snp,{options}", "-bios", str(launch.code))
    yield from ("-kernel", str(boot.kernel), "-initrd", str(boot.initrd), "-append", boot.command_line)


def _disks(launch: Launch) -> Iterator[str]:
    layout = launch.layout
    cache = "writeback" if launch.spec.durable else "unsafe"
    drives = (
        ("disk", f"format=qcow2,cache={cache},file={layout.disk}", "bootindex=0"),
        ("state", f"format=raw,cache={cache},discard=unmap,file={layout.state_disk}", f"serial={STATE_DISK_SERIAL}"),
        ("config", f"format=raw,readonly=on,file={layout.config_drive}", "serial=constellation-config"),
    )
    for name, drive, device in drives:
        yield from ("-drive", f"if=none,id={name},{drive}", "-device", f"virtio-blk-pci,drive={name},{device}")


def _networks(launch: Launch) -> Iterator[str]:
    """Give the network cards. Without a ROM: nobody boots from the network, and the firmware need not try."""
    spec = launch.spec
    user = ["user,id=user", f"restrict={'on' if spec.isolated else 'off'}"]
    user += [f"hostfwd=tcp:127.0.0.1:{item.host_port}-:{item.guest_port}" for item in spec.forwards]
    yield from ("-netdev", ",".join(user), *_card(launch.name, Nic.USER))
    if spec.segment:
        group = f"{spec.segment.group}:{spec.segment.port}"
        yield from ("-netdev", f"socket,id=segment,mcast={group},localaddr=127.0.0.1", *_card(launch.name, Nic.SEGMENT))
    if spec.capture:
        yield from ("-object", f"filter-dump,id=capture,netdev=segment,file={launch.layout.capture}")


def _card(name: str, nic: Nic) -> tuple[str, str]:
    return "-device", f"virtio-net-pci,netdev={nic.name.lower()},mac={mac_address(name, nic)},romfile="


def _channels() -> Iterator[str]:
    """Give the serial console, kept in a file and open to one reader at a time, and the machine protocol."""
    yield from ("-chardev", "socket,id=console,path=console.sock,server=on,wait=off,logfile=console.log,logappend=on")
    yield from ("-serial", "chardev:console")
    yield from ("-chardev", "socket,id=qmp,path=qmp.sock,server=on,wait=off", "-mon", "chardev=qmp,mode=control")


def _format(file: Path) -> ImageFormat:
    """Give the format that the name of a copied firmware file says."""
    return ImageFormat(file.suffix.removeprefix("."))
