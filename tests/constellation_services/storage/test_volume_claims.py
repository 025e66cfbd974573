# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What there is to do, and what is none of a node's business."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightkube.resources.core_v1 import PersistentVolume, PersistentVolumeClaim

from constellation_core.names import VOLUME_PROVISIONER
from constellation_services.errors import VolumeRefusedError
from constellation_services.storage.claims import (
    CLAIMED_OF,
    PROVISIONED_BY,
    SELECTED_NODE,
    claims_to_serve,
    folder_of,
    size_of,
    volume_for,
    volumes_to_delete,
)

UID = "7b3c1f0e-2a44-4c58-9d1b-0f6a5e8c9d10"
FOLDER = Path("/run/state/volumes")


def claim(*, annotations: dict[str, str] | None = None, **spec: object) -> PersistentVolumeClaim:
    chosen = {SELECTED_NODE: "a", CLAIMED_OF: VOLUME_PROVISIONER} if annotations is None else annotations
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    metadata = {"name": "data", "namespace": "default", "uid": UID, "annotations": chosen}
    return PersistentVolumeClaim.from_dict({"metadata": metadata, "spec": wanted})  # type: ignore[return-value]


def released(**changes: object) -> PersistentVolume:
    record: dict[str, Any] = volume_for(claim(), "a", FOLDER).to_dict()
    record["status"] = {"phase": changes.pop("phase", "Released")}
    record["metadata"]["annotations"] = changes.pop("annotations", record["metadata"]["annotations"])
    record["spec"] |= changes
    return PersistentVolume.from_dict(record)  # type: ignore[return-value]


def test_a_chosen_claim_is_served() -> None:
    assert len(list(claims_to_serve([claim()], "a"))) == 1


@pytest.mark.parametrize(
    "other",
    [
        claim(annotations={}),
        claim(annotations={SELECTED_NODE: "a"}),
        claim(annotations={SELECTED_NODE: "b", CLAIMED_OF: VOLUME_PROVISIONER}),
        claim(annotations={SELECTED_NODE: "a", CLAIMED_OF: "example.org/other"}),
        claim(volumeName="is-bound"),
    ],
)
def test_others_are_not(other: PersistentVolumeClaim) -> None:
    assert list(claims_to_serve([other], "a")) == []


def test_a_released_volume_is_deleted() -> None:
    assert len(list(volumes_to_delete([released()], "a"))) == 1


@pytest.mark.parametrize(
    "other",
    [
        released(phase="Bound"),
        released(phase="Available"),
        released(persistentVolumeReclaimPolicy="Retain"),
        released(annotations={PROVISIONED_BY: "example.org/other"}),
        released(nodeAffinity=None),
    ],
)
def test_other_volumes_are_not(other: PersistentVolume) -> None:
    assert list(volumes_to_delete([other], "a")) == []


def test_nor_is_one_of_another_node() -> None:
    assert list(volumes_to_delete([released()], "b")) == []


@given(name=st.text())
def test_nothing_outside_of_the_folder_is_ever_deleted(name: str) -> None:
    with pytest.raises(VolumeRefusedError):
        folder_of(name, FOLDER)
    with pytest.raises(VolumeRefusedError):
        folder_of(f"pvc-{UID}/{name}", FOLDER)


@pytest.mark.parametrize(
    "modes, block", [(["ReadWriteMany"], False), (["ReadWriteOnce", "ReadOnlyMany"], False), ([], False), ([], True)]
)
def test_what_one_disk_cannot_be_is_refused(modes: list[str], block: bool) -> None:
    wanted = claim(accessModes=modes or (["ReadWriteOnce"] if block else []), volumeMode="Block" if block else None)
    with pytest.raises(VolumeRefusedError, match="expected"):
        volume_for(wanted, "a", FOLDER)


def test_sizes_are_bytes() -> None:
    assert size_of(claim()) == 1024**3
