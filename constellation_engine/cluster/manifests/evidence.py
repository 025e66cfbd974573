# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a pod gets at the devices that sign evidence, with the least privilege that works.

A host path is not enough: whatever its permissions, the device cgroup of a container refuses to open the device, and
only `privileged: true` would lift that, together with every other protection. So pods name a runtime class, and the
handler behind it, in the containerd configuration of the node image, adds the device. The contract with that image:

    handler `constellation-evidence`: crun, with a `base_runtime_spec` that is containerd's default, and in it
    linux.devices             /dev/tpmrm0 and /dev/sev-guest, those that the machine has: mode 0660, uid 0, gid 65532
    linux.resources.devices   allow the same, access "rw"

What else evidence needs are files of the host:

| Technology | What | As whom |
|---|---|---|
| TPM | the boot log, in securityfs, mode 0440 of root:root | 65532 with the supplementary group 0 |
| SEV-SNP | nothing but the device | 65532 |
| TDX | configfs-TSM, where only root can make an entry | root without capabilities |

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

_ASKS_THE_PROCESSOR: Final = frozenset({Variant.QEMU_SNP, Variant.AWS_SEV_SNP, Variant.GCP_SEV_SNP})
"""Where the guest itself has the secure processor sign; on Azure the paravisor has done so."""
_ASKS_BY_CONFIGFS: Final = frozenset({Variant.QEMU_TDX, Variant.GCP_TDX})
_ASKS_METADATA_SERVICE: Final = frozenset({Variant.AZURE_SEV_SNP, Variant.AZURE_TDX})

# Whole file systems, because a container's sysfs has mount points for these, and for nothing below them.
_SECURITYFS: Final = "/sys/kernel/security"
_CONFIGFS: Final = "/sys/kernel/config"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceAccess:
    """What a pod needs to collect evidence of the machine that it runs on.

    Attributes:
        runtime_class: brings devices; None where none is needed.
        volumes: file systems of the host.
        mounts: where the container sees them.
        as_root: whether the user must be root, without capabilities.
        groups: supplementary groups.
        asks_metadata_service: whether a part of the evidence comes from the cloud's metadata service.
    """

    runtime_class: str | None = None
    volumes: tuple[Volume, ...] = ()
    mounts: tuple[VolumeMount, ...] = ()
    as_root: bool = False
    groups: tuple[int, ...] = ()
    asks_metadata_service: bool = False


def evidence_access(variant: Variant) -> EvidenceAccess:
    """Give what a pod needs on machines of a variant."""
    if variant in _ASKS_BY_CONFIGFS:
        mount = VolumeMount(name="configfs", mountPath=_CONFIGFS)
        return EvidenceAccess(volumes=(host_directory("configfs", _CONFIGFS),), mounts=(mount,), as_root=True)
    if Technology.TPM in variant.technologies:
        return EvidenceAccess(
            runtime_class=RUNTIME_CLASS,
            volumes=(host_directory("securityfs", _SECURITYFS),),
            mounts=(read_only("securityfs", _SECURITYFS),),
            groups=(0,),
            asks_metadata_service=variant in _ASKS_METADATA_SERVICE,
        )
    return EvidenceAccess(runtime_class=RUNTIME_CLASS if variant in _ASKS_THE_PROCESSOR else None)


def runtime_class() -> RuntimeClass:
    """Give the runtime class that brings devices."""
    return RuntimeClass(metadata=ObjectMeta(name=RUNTIME_CLASS, labels=dict(PART_OF)), handler=RUNTIME_CLASS)


def host_directory(name: str, path: str, *, create: bool = False) -> Volume:
    """Give a directory of the host as a volume; where there is none it is created, or the pod does not start."""
    return Volume(
        name=name, hostPath=HostPathVolumeSource(path=path, type="DirectoryOrCreate" if create else "Directory")
    )


def host_file(name: str, path: str) -> Volume:
    """Give a file of the host as a volume; where there is none, the pod does not start."""
    return Volume(name=name, hostPath=HostPathVolumeSource(path=path, type="File"))


def read_only(name: str, path: str) -> VolumeMount:
    """Mount a volume so that nothing in it can be changed."""
    return VolumeMount(name=name, mountPath=path, readOnly=True)
