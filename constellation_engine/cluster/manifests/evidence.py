# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a pod gets at the devices that sign evidence, with the least privilege that works.

A host path is not enough: whatever its permissions, the container's device cgroup refuses to open the device, and only
`privileged: true` would switch that off, together with every other protection. Instead, pods name a runtime class. Its
handler is in the node image's containerd configuration, with a `base_runtime_spec` (an OCI runtime specification) that
adds one device and one cgroup rule. So the contract with the node image is:

    handler `constellation-evidence`, runc, base_runtime_spec = containerd's default, and
    linux.devices           /dev/tpmrm0 or /dev/sev-guest of this machine, mode 0660, uid 0, gid 65532
    linux.resources.devices allow these, access "rw"

Everything else is ordinary files of the host:

| Technology | What | As whom |
|---|---|---|
| TPM | the boot log in securityfs, mode 0440 of root:root, read-only | 65532 with supplementary group 0 |
| SEV-SNP | nothing but the device | 65532 |
| TDX | configfs-TSM, where only root can make an entry, and the firmware's log, mode 0400 | root without capabilities |

`constellation_engine.cluster.manifests.admission` keeps the runtime class to our own namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lightkube.models.core_v1 import HostPathVolumeSource, Volume, VolumeMount
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.node_v1 import RuntimeClass

from attestation.variant import Technology, Variant
from constellation_engine.cluster.manifests.names import PART_OF

RUNTIME_CLASS: Final = "constellation-evidence"

_REPORTS_BY_DEVICE: Final = frozenset({Variant.QEMU_SNP, Variant.AWS_SEV_SNP, Variant.GCP_SEV_SNP})
"""Where the guest asks the secure processor itself; on Azure the paravisor has done so."""
_QUOTES_BY_CONFIGFS: Final = frozenset({Variant.QEMU_TDX, Variant.GCP_TDX})

_TPM_LOG: Final = "/sys/kernel/security/tpm0"
_CONFIGFS: Final = "/sys/kernel/config"  # all of it: in the container's sysfs nothing below it can be mounted on
_ACPI_DATA: Final = "/sys/firmware/acpi/tables/data"
_SHOWN_LOG: Final = (
    "/run/constellation/boot-log"  # container runtimes hide /sys/firmware, and securityfs is not in /sys
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceAccess:
    """What a pod needs to collect evidence of the machine that it runs on.

    Attributes:
        runtime_class: brings devices; None where none is needed.
        volumes: files of the host.
        mounts: where the container sees them.
        arguments: of the program, that say so.
        as_root: whether the user must be root, without capabilities.
        groups: supplementary groups.
        asks_metadata_service: whether certificates come from the cloud's metadata service.
    """

    runtime_class: str | None = None
    volumes: tuple[Volume, ...] = ()
    mounts: tuple[VolumeMount, ...] = ()
    arguments: tuple[str, ...] = ()
    as_root: bool = False
    groups: tuple[int, ...] = ()
    asks_metadata_service: bool = False


def evidence_access(variant: Variant) -> EvidenceAccess:
    """Give what a pod needs on machines of a variant."""
    if variant in _QUOTES_BY_CONFIGFS:
        return EvidenceAccess(
            volumes=(host_directory("configfs", _CONFIGFS), host_directory("boot-log", _ACPI_DATA)),
            mounts=(VolumeMount(name="configfs", mountPath=_CONFIGFS), read_only("boot-log", _SHOWN_LOG)),
            arguments=(f"--boot-log={_SHOWN_LOG}/CCEL",),
            as_root=True,
        )
    if Technology.TPM in variant.technologies:
        return EvidenceAccess(
            runtime_class=RUNTIME_CLASS,
            volumes=(host_directory("boot-log", _TPM_LOG),),
            mounts=(read_only("boot-log", _SHOWN_LOG),),
            arguments=(f"--boot-log={_SHOWN_LOG}/binary_bios_measurements",),
            groups=(0,),
            asks_metadata_service=variant in (Variant.AZURE_SEV_SNP, Variant.AZURE_TDX),
        )
    return EvidenceAccess(runtime_class=RUNTIME_CLASS if variant in _REPORTS_BY_DEVICE else None)


def runtime_class() -> RuntimeClass:
    """Give the runtime class that brings devices."""
    return RuntimeClass(metadata=ObjectMeta(name=RUNTIME_CLASS, labels=dict(PART_OF)), handler=RUNTIME_CLASS)


def host_directory(name: str, path: str) -> Volume:
    """Give a directory of the host as a volume; a pod does not start where there is none."""
    return Volume(name=name, hostPath=HostPathVolumeSource(path=path, type="Directory"))


def host_file(name: str, path: str) -> Volume:
    """Give a file of the host as a volume; a pod does not start where there is none."""
    return Volume(name=name, hostPath=HostPathVolumeSource(path=path, type="File"))


def read_only(name: str, path: str) -> VolumeMount:
    """Mount a volume so that nothing in it can be changed."""
    return VolumeMount(name=name, mountPath=path, readOnly=True)
