# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What each of the three services needs of its node.

| service | runs on | as | host files, read-only |
|---|---|---|---|
| join | control planes | root without capabilities | `/etc/kubernetes/pki`: the authorities that tickets carry |
| keys | control planes | root without capabilities | certificate and key of the cluster's authority |
| verify | every node | 65532 (TDX: root without capabilities) | the boot log |

Root, because kubeadm makes private keys with mode 0600: without capabilities it may read them as their owner, and
nothing else that 65532 may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lightkube.models.core_v1 import (
    ProjectedVolumeSource,
    SecretVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)

from constellation_core.names import KEY_SERVICE_AUDIENCE, KEY_SERVICE_PORT
from constellation_engine.cluster.manifests.evidence import evidence_access, host_directory, host_file, read_only
from constellation_engine.cluster.manifests.names import KEY_CLIENT, Service
from constellation_engine.cluster.manifests.pods import Workload

if TYPE_CHECKING:
    from attestation.variant import Variant

JOIN_PORT: Final = 9090
VERIFY_PORT: Final = 9091

_PKI: Final = "/etc/kubernetes/pki"
_KEY_MATERIAL: Final = "/run/constellation/key-material"
_KEY_TOKEN: Final = "/run/constellation/key-token"  # noqa: S105 - a directory
_TOKEN_LIFETIME: Final = 3600  # seconds; the kubelet puts a new one there in time


def join(image: str, variant: Variant) -> Workload:
    """The join service: it collects evidence, reads the cluster's authorities and asks for keys."""
    evidence = evidence_access(variant)
    return Workload(
        service=Service.JOIN,
        image=image,
        arguments=("join", f"--variant={variant}", *evidence.arguments),
        ports={"join": JOIN_PORT},
        memory=(96, 256),
        volumes=(*evidence.volumes, host_directory("pki", _PKI), _key_token()),
        mounts=(*evidence.mounts, read_only("pki", _PKI), read_only("key-token", _KEY_TOKEN)),
        as_root=True,
        groups=evidence.groups,
        calls_api_server=True,
        runtime_class=evidence.runtime_class,
        labels=dict(KEY_CLIENT),
    )


def keys(image: str) -> Workload:
    """The key service: it certifies itself by the cluster's authority and reads the key material."""
    files = ("ca.crt", "ca.key")
    return Workload(
        service=Service.KEYS,
        image=image,
        arguments=("keys",),
        ports={"keys": KEY_SERVICE_PORT},
        memory=(64, 192),
        volumes=(
            *(host_file(name.replace(".", "-"), f"{_PKI}/{name}") for name in files),
            Volume(name="key-material", secret=SecretVolumeSource(secretName="key-material", defaultMode=0o400)),
        ),
        mounts=(
            *(read_only(name.replace(".", "-"), f"{_PKI}/{name}") for name in files),
            read_only("key-material", _KEY_MATERIAL),
        ),
        as_root=True,
        calls_api_server=True,
    )


def verify(image: str, variant: Variant) -> Workload:
    """The verification service: it collects evidence, for whoever asks."""
    evidence = evidence_access(variant)
    return Workload(
        service=Service.VERIFY,
        image=image,
        arguments=("verify", f"--variant={variant}", *evidence.arguments),
        ports={"verify": VERIFY_PORT},
        memory=(64, 192),
        volumes=evidence.volumes,
        mounts=evidence.mounts,
        as_root=evidence.as_root,
        groups=evidence.groups,
        control_planes_only=False,
        runtime_class=evidence.runtime_class,
    )


def _key_token() -> Volume:
    token = ServiceAccountTokenProjection(
        audience=KEY_SERVICE_AUDIENCE, expirationSeconds=_TOKEN_LIFETIME, path="token"
    )
    return Volume(
        name="key-token",
        projected=ProjectedVolumeSource(sources=[VolumeProjection(serviceAccountToken=token)], defaultMode=0o400),
    )
