# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a local machine is, as frozen records: a description goes in, and everything else follows from it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final

from attestation.variant import Variant
from constellation_engine.errors import MachineSpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Interface
    from pathlib import Path

    from constellation_engine.machines.launch_manifest import LaunchManifest

MEMORY: Final = range(128, (1 << 20) + 1)  # MiB; below, the firmware does not start
CPUS: Final = range(1, 256)
STATE_DISK: Final = range(64, (1 << 24) + 1)  # MiB
PORTS: Final = range(1, 1 << 16)
SNP_POLICY: Final = 0x30000
"""Guest policy of SEV-SNP: SMT allowed, bit 17 must be one, no debugging, no migration (SEV-SNP ABI § 4.3)."""

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_GROUPS: Final = int(IPv4Address("239.192.0.0"))
_GROUP_BITS: Final = 18
_SEGMENT_PORTS: Final = range(16384, 32768)  # below those that Linux takes for outgoing connections


class TpmInterface(StrEnum):
    """How the guest sees its TPM: the name of QEMU's device."""

    TIS = "tpm-tis"
    CRB = "tpm-crb"


class VcpuModel(StrEnum):
    """Models of virtual processors that an SEV-SNP guest may have. The model is part of the launch digest."""

    EPYC_V4 = "EPYC-v4"
    ROME = "EPYC-Rome"
    MILAN = "EPYC-Milan"
    GENOA = "EPYC-Genoa"
    TURIN = "EPYC-Turin"


@dataclass(frozen=True, slots=True)
class Forward:
    """A port of the host's loopback interface that leads into the machine.

    QEMU accepts connections as soon as the machine is switched on, and closes them again when nobody listens inside:
    that a connection comes about says nothing, an answer does.

    Attributes:
        name: what it is for; unique in its machine.
        guest_port: TCP port in the machine.
        host_port: TCP port of 127.0.0.1; 0 to choose a free one when the machine is created.
    """

    name: str
    guest_port: int
    host_port: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """An Ethernet segment that machines of one cluster share: a multicast group that never leaves the host's loopback.

    Anybody on this host can read and write there: it stands for the network that a cluster must not trust.

    Attributes:
        group: of the organization-local scope (RFC 2365 § 6.2).
        port: UDP.
    """

    group: IPv4Address
    port: int

    @classmethod
    def of(cls, cluster: str) -> Segment:
        """Give the segment of a cluster: two clusters do not meet.

        Args:
            cluster: any text that no other cluster of this host has.
        """
        digest = int.from_bytes(hashlib.sha256(cluster.encode()).digest())
        rest, group = divmod(digest, 1 << _GROUP_BITS)
        return cls(IPv4Address(_GROUPS + group), _SEGMENT_PORTS[rest % len(_SEGMENT_PORTS)])


@dataclass(frozen=True, slots=True)
class Vtpm:
    """The platform `qemu-vtpm`: boots the UKI of its disk through OVMF, measured into a TPM made of software.

    Attributes:
        interface: of the TPM.
    """

    interface: TpmInterface = TpmInterface.TIS

    @property
    def variant(self) -> Variant:
        """Its name in policies."""
        return Variant.QEMU_VTPM


@dataclass(frozen=True, slots=True)
class DirectBoot:
    """What is booted without a boot loader, all of it measured.

    Attributes:
        kernel: file.
        initrd: file.
        command_line: of the kernel.
    """

    kernel: Path
    initrd: Path
    command_line: str


@dataclass(frozen=True, slots=True)
class SevSnp:
    """The platform `qemu-snp`: an own SEV-SNP host measures firmware, kernel, initrd and command line at launch.

    Attributes:
        boot: what is booted.
        manifest: what the launch says about the machine: its digest is HOST_DATA.
        model: of the virtual processors.
        policy: of the guest (SEV-SNP ABI § 4.3).
    """

    boot: DirectBoot
    manifest: LaunchManifest
    model: VcpuModel = VcpuModel.EPYC_V4
    policy: int = SNP_POLICY

    @property
    def variant(self) -> Variant:
        """Its name in policies."""
        return Variant.QEMU_SNP


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """What a machine is made of.

    Attributes:
        image: disk image to boot, raw or qcow2. It is only read.
        metadata: what the machine finds as `metadata.json` on its config drive (docs: metadata, version 1).
        cpus: how many.
        memory: MiB.
        state_disk: size of the disk that keeps the node's state, MiB. It takes space as it fills.
        forwards: ports that lead into the machine.
        segment: network that it shares with others; None for none.
        addresses: of the machine on the segment; the config drive tells it.
        platform: what measures it.
        isolated: whether it reaches nothing but the segment: no host, no internet. Forwards work all the same.
        capture: whether everything that passes on the segment is recorded in `segment.pcap`, anew at every start.
        durable: whether what the guest flushes must survive a crash of this *host*; costs every flush a real one.
            What it writes survives crashes of the machine either way.

    Raises:
        MachineSpecError: something of it cannot be.
    """

    image: Path
    metadata: Mapping[str, object] = field(default_factory=dict)
    cpus: int = 2
    memory: int = 2048
    state_disk: int = 8192
    forwards: tuple[Forward, ...] = ()
    segment: Segment | None = None
    addresses: tuple[IPv4Interface, ...] = ()
    platform: Vtpm | SevSnp = field(default_factory=Vtpm)
    isolated: bool = False
    capture: bool = False
    durable: bool = False

    def __post_init__(self) -> None:
        """See that it can be."""
        _check("cpus", self.cpus, CPUS)
        _check("memory in MiB", self.memory, MEMORY)
        _check("state disk in MiB", self.state_disk, STATE_DISK)
        for forward in self.forwards:
            check_name("forward", forward.name)
            _check(f"guest port of {forward.name}", forward.guest_port, PORTS)
            if forward.host_port:
                _check(f"host port of {forward.name}", forward.host_port, PORTS)
        self._check_unique("names of forwards", [forward.name for forward in self.forwards])
        self._check_unique("host ports", [forward.host_port for forward in self.forwards if forward.host_port])
        if self.segment is None and (self.addresses or self.capture):
            raise MachineSpecError("addresses and capture are about a segment: expected one, got none")

    def host_port(self, name: str) -> int:
        """Give the port of 127.0.0.1 that a forward has; 0 where it is not chosen yet.

        Raises:
            MachineSpecError: no forward has this name.
        """
        for forward in self.forwards:
            if forward.name == name:
                return forward.host_port
        names = ", ".join(forward.name for forward in self.forwards) or "none"
        raise MachineSpecError(f"no port is forwarded for {name!r}; forwarded are: {names}")

    def settled(self, ports: Mapping[str, int]) -> MachineSpec:
        """Give the same with absolute paths, and with host ports for those forwards that have none yet.

        Args:
            ports: by name of the forward.
        """
        forwards = (replace(item, host_port=item.host_port or ports[item.name]) for item in self.forwards)
        platform = self.platform
        if isinstance(platform, SevSnp):
            boot = replace(platform.boot, kernel=platform.boot.kernel.resolve(), initrd=platform.boot.initrd.resolve())
            platform = replace(platform, boot=boot)
        return replace(self, forwards=tuple(forwards), image=self.image.resolve(), platform=platform)

    @staticmethod
    def _check_unique(what: str, values: Sequence[object]) -> None:
        if twice := [value for value in values if values.count(value) > 1]:
            raise MachineSpecError(f"{what}: expected each once, got {twice[0]} twice")


def check_name(what: str, name: str) -> None:
    """See that a name can be one of a host (RFC 1123 § 2.1), in small letters.

    Raises:
        MachineSpecError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise MachineSpecError(f"name of a {what}: expected 1 to 63 of a-z, 0-9 and - inside, got {name!r:.80}")


def _check(what: str, value: int, allowed: range) -> None:
    if value not in allowed:
        raise MachineSpecError(f"{what}: expected {allowed[0]} to {allowed[-1]}, got {value!r:.40}")
