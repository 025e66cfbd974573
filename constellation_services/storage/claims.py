# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What there is to do, from claims and volumes as the API server shows them: pure.

The protocol is that of external provisioners. A claim of our class waits until a pod uses it; then the scheduler
chooses a node and writes it into an annotation, and whoever provisions on that node makes the volume. When the claim
is deleted, and no pod uses it any more, the volume is released, and whoever made it deletes it.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/ and
https://kubernetes.io/docs/reference/labels-annotations-taints/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lightkube.models.core_v1 import (
    LocalVolumeSource,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    ObjectReference,
    PersistentVolumeClaimSpec,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
    VolumeResourceRequirements,
)
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import PersistentVolume
from lightkube.utils.quantity import parse_quantity

from constellation_core.names import VOLUME_PROVISIONER
from constellation_services.errors import VolumeRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lightkube.resources.core_v1 import PersistentVolumeClaim

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
CLAIMED_OF: Final = "volume.kubernetes.io/storage-provisioner"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
HOSTNAME: Final = "kubernetes.io/hostname"

ONE_NODE: Final = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})
"""Access modes that a disk of one node can have."""

_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME: Final = re.compile(rf"pvc-{_UID.pattern}")


def claims_to_serve(claims: Iterable[PersistentVolumeClaim], node: str) -> Iterator[PersistentVolumeClaim]:
    """Give the claims that wait for a volume on a node."""
    for claim in claims:
        metadata, spec = _parts(claim)
        annotations = metadata.annotations or {}
        chosen = annotations.get(SELECTED_NODE) == node and annotations.get(CLAIMED_OF) == VOLUME_PROVISIONER
        if chosen and not spec.volumeName and metadata.deletionTimestamp is None:
            yield claim


def volumes_to_delete(volumes: Iterable[PersistentVolume], node: str) -> Iterator[PersistentVolume]:
    """Give the volumes of a node that nobody claims any more."""
    for volume in volumes:
        metadata, spec = volume.metadata or ObjectMeta(), volume.spec or PersistentVolumeSpec()
        ours = (metadata.annotations or {}).get(PROVISIONED_BY) == VOLUME_PROVISIONER and _node_of(spec) == node
        phase = volume.status.phase if volume.status is not None else None
        if ours and phase == "Released" and spec.persistentVolumeReclaimPolicy == "Delete":
            yield volume


def volume_name(claim: PersistentVolumeClaim) -> str:
    """Give the name of a claim's volume, and of its folder.

    Raises:
        VolumeRefusedError: the API server gave a uid that is none.
    """
    uid = _parts(claim)[0].uid or ""
    if not _UID.fullmatch(uid):
        raise VolumeRefusedError(f"claim: expected a UUID, got {uid!r:.40}")
    return f"pvc-{uid}"


def folder_of(name: str, folder: Path) -> Path:
    """Give the folder of a volume.

    Raises:
        VolumeRefusedError: it is not the name of a volume of ours: nothing is deleted by another.
    """
    if not _NAME.fullmatch(name):
        raise VolumeRefusedError(f"volume: expected a name as pvc-<uid>, got {name!r:.80}")
    return folder / name


def size_of(claim: PersistentVolumeClaim) -> int:
    """Give the bytes that a claim asks for."""
    return int(parse_quantity(_requested(_parts(claim)[1])) or 0)


def volume_for(claim: PersistentVolumeClaim, node: str, folder: Path) -> PersistentVolume:
    """Describe the volume of a claim.

    Args:
        claim: it.
        node: on whose disk it is.
        folder: of all volumes, where the kubelet sees it.

    Raises:
        VolumeRefusedError: a disk of one node cannot be what is asked for.
    """
    metadata, spec = _parts(claim)
    modes = spec.accessModes or []
    if not modes or not ONE_NODE.issuperset(modes):
        raise VolumeRefusedError(
            f"access modes: expected {' or '.join(sorted(ONE_NODE))}, got {', '.join(modes)}",
            hint="the volume is on one node: pods of other nodes need storage in the network",
        )
    if spec.volumeMode not in {None, "Filesystem"}:
        raise VolumeRefusedError(f"volume mode: expected Filesystem, got {spec.volumeMode}")
    name = volume_name(claim)
    claimed = ObjectReference(
        apiVersion="v1",
        kind="PersistentVolumeClaim",
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
    )
    return PersistentVolume(
        metadata=ObjectMeta(name=name, annotations={PROVISIONED_BY: VOLUME_PROVISIONER}),
        spec=PersistentVolumeSpec(
            accessModes=modes,
            capacity={"storage": _requested(spec)},
            claimRef=claimed,
            local=LocalVolumeSource(path=str(folder_of(name, folder))),
            nodeAffinity=VolumeNodeAffinity(required=_only_on(node)),
            persistentVolumeReclaimPolicy="Delete",
            storageClassName=spec.storageClassName,
            volumeMode="Filesystem",
        ),
    )


def _only_on(node: str) -> NodeSelector:
    here = NodeSelectorRequirement(key=HOSTNAME, operator="In", values=[node])
    return NodeSelector(nodeSelectorTerms=[NodeSelectorTerm(matchExpressions=[here])])


def _node_of(spec: PersistentVolumeSpec) -> str | None:
    """Give the node of a volume as `volume_for` writes it; None for whatever else."""
    required = spec.nodeAffinity.required if spec.nodeAffinity is not None else None
    match required:
        case NodeSelector(
            nodeSelectorTerms=[
                NodeSelectorTerm(
                    matchExpressions=[NodeSelectorRequirement(key="kubernetes.io/hostname", values=[node])]
                )
            ]
        ):
            return str(node)
    return None


def _requested(spec: PersistentVolumeClaimSpec) -> str:
    resources = spec.resources or VolumeResourceRequirements()
    return str((resources.requests or {}).get("storage", "0"))


def _parts(claim: PersistentVolumeClaim) -> tuple[ObjectMeta, PersistentVolumeClaimSpec]:
    return claim.metadata or ObjectMeta(), claim.spec or PersistentVolumeClaimSpec()
