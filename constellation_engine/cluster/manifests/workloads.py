# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What each of the four services needs of its node.

| service | runs on | as | files of the host, read-only |
|---|---|---|---|
| join | control planes | root without capabilities | `/etc/kubernetes`, the manifest of the node's image |
| keys | control planes | root without capabilities | certificate and key of the cluster's authority |
| verify | every node | 65532; with TDX root without capabilities | that manifest, the cluster ID |
| storage | every node | root, see below | the folder of volumes, which it writes to |

The first and the third add what `constellation_engine.cluster.manifests.evidence` says where they attest. Root, because
kubeadm gives private keys the mode 0600, and our code refuses to read keys that others may read: without capabilities
root owns these files, and that is all. The join service sees all of `/etc/kubernetes`: whoever reads the keys of the
authorities in it, which are what tickets carry, can make everything else that lies there. The storage service deletes
files of all users, also those that their owners made unreadable: that takes CAP_DAC_OVERRIDE and CAP_FOWNER, and it
sees one folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lightkube.models.core_v1 import (
    ProjectedVolumeSource,
    SecretVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeMount,
    VolumeProjection,
)

from constellation_core.names import (
    KEY_SERVICE_AUDIENCE,
    KEY_SERVICE_PORT,
    VERIFICATION_HTTP_PORT,
    VERIFICATION_PORT,
    VOLUMES_FOLDER,
)
from constellation_engine.cluster.manifests.evidence import evidence_access, host_directory, host_file, read_only
from constellation_engine.cluster.manifests.names import KEY_CLIENT, Service
from constellation_engine.cluster.manifests.pods import Workload

if TYPE_CHECKING:
    from attestation.variant import Variant

JOIN_PORT: Final = 9090

KUBERNETES: Final = "/etc/kubernetes"
IMAGE_MANIFEST: Final = "/run/constellation/image"  # the node agent puts measurements.json and its signature there
CLUSTER_ID: Final = "/run/constellation/cluster-id"  # and this, when the node carries the cluster's mark
KEY_MATERIAL: Final = "/run/constellation/key-material"
KEY_TOKEN: Final = "/run/constellation/key-service"  # noqa: S105 - a folder

_TOKEN_LIFETIME: Final = 3600  # seconds; the kubelet replaces it in time


def join(image: str, variant: Variant) -> Workload:
    """The join service: it attests, reads the cluster's authorities and asks for keys."""
    evidence = evidence_access(variant)
    return Workload(
        service=Service.JOIN,
        image=image,
        arguments=("join", f"--variant={variant}", f"--manifest={IMAGE_MANIFEST}"),
        ports={"join": JOIN_PORT},
        memory=(96, 256),
        volumes=(*evidence.volumes, host_directory("kubernetes", KUBERNETES), _image_manifest(), _key_token()),
        mounts=(
            *evidence.mounts,
            read_only("kubernetes", KUBERNETES),
            read_only("image-manifest", IMAGE_MANIFEST),
            read_only("key-token", KEY_TOKEN),
        ),
        as_root=True,
        groups=evidence.groups,
        calls_api_server=True,
        runtime_class=evidence.runtime_class,
        labels=dict(KEY_CLIENT),
    )


def keys(image: str) -> Workload:
    """The key service: it certifies itself by the cluster's authority and reads the key material."""
    authority = {"authority": f"{KUBERNETES}/pki/ca.crt", "authority-key": f"{KUBERNETES}/pki/ca.key"}
    material = SecretVolumeSource(secretName="key-material", defaultMode=0o400)
    return Workload(
        service=Service.KEYS,
        image=image,
        arguments=("keys",),
        ports={"keys": KEY_SERVICE_PORT},
        memory=(64, 192),
        volumes=(
            *(host_file(name, path) for name, path in authority.items()),
            Volume(name="key-material", secret=material),
        ),
        mounts=(
            *(read_only(name, path) for name, path in authority.items()),
            read_only("key-material", KEY_MATERIAL),
        ),
        as_root=True,
        calls_api_server=True,
    )


def verify(image: str, variant: Variant) -> Workload:
    """The verification service: it attests, to whoever asks."""
    evidence = evidence_access(variant)
    return Workload(
        service=Service.VERIFY,
        image=image,
        arguments=("verify", f"--variant={variant}", f"--manifest={IMAGE_MANIFEST}"),
        ports={"verify": VERIFICATION_PORT, "http": VERIFICATION_HTTP_PORT},
        memory=(64, 192),
        volumes=(*evidence.volumes, _image_manifest(), host_file("cluster-id", CLUSTER_ID)),
        mounts=(
            *evidence.mounts,
            read_only("image-manifest", IMAGE_MANIFEST),
            read_only("cluster-id", CLUSTER_ID),
        ),
        as_root=evidence.as_root,
        groups=evidence.groups,
        control_planes_only=False,
        runtime_class=evidence.runtime_class,
    )


def storage(image: str) -> Workload:
    """The storage service: it makes and deletes folders on the state disk."""
    return Workload(
        service=Service.STORAGE,
        image=image,
        arguments=("storage", f"--folder={VOLUMES_FOLDER}"),
        ports={},
        memory=(48, 128),
        volumes=(host_directory("volumes", VOLUMES_FOLDER, create=True),),
        mounts=(VolumeMount(name="volumes", mountPath=VOLUMES_FOLDER),),
        as_root=True,
        capabilities=("DAC_OVERRIDE", "FOWNER"),
        calls_api_server=True,
        control_planes_only=False,
    )


def _image_manifest() -> Volume:
    return host_directory("image-manifest", IMAGE_MANIFEST, create=True)


def _key_token() -> Volume:
    """A token that only the key service accepts, and that ends with its pod."""
    token = ServiceAccountTokenProjection(
        audience=KEY_SERVICE_AUDIENCE, expirationSeconds=_TOKEN_LIFETIME, path="token"
    )
    source = ProjectedVolumeSource(sources=[VolumeProjection(serviceAccountToken=token)], defaultMode=0o400)
    return Volume(name="key-token", projected=source)
