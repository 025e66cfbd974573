# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Volumes come and go with their claims: a real API server, the real service with its own rights, a real folder.

No scheduler and no volume controller runs here: what they write, the test writes.
"""

from __future__ import annotations

import os
import stat
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lightkube import ApiError, KubeConfig
from lightkube.models.core_v1 import PersistentVolumeClaimSpec, VolumeResourceRequirements
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event, Node, PersistentVolume, PersistentVolumeClaim

from attestation.variant import Variant
from constellation_core.conditions import Condition, wait_for, wait_for_async
from constellation_core.names import VOLUME_PROVISIONER, VOLUMES_FOLDER
from constellation_engine.cluster.manifests import manifests
from constellation_engine.cluster.manifests.names import Service
from constellation_engine.cluster.manifests.storage import NAME, storage_class
from constellation_services.api_client import api_client
from constellation_services.storage.claims import CLAIMED_OF, SELECTED_NODE, volume_for
from constellation_services.storage.service import Settings, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from constellation_engine.testing.control_plane import ControlPlane

NODE = "worker-0"
IMAGE = "constellation-services@sha256:" + 64 * "a"


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """A cluster with our objects and two nodes."""
    control_plane.clean()
    client = control_plane.client()
    for manifest in manifests(image=IMAGE, variant=Variant.QEMU_VTPM):
        client.apply(manifest, field_manager="constellation", force=True)
    for node in (NODE, "control-plane-0"):
        client.apply(Node(metadata=ObjectMeta(name=node)), field_manager="test")
    wait_for([Condition("policies take effect", lambda: refusal(control_plane, node="control-plane-0"))], timeout=30)
    return control_plane


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of volumes; on a node it has another name."""
    made = tmp_path / "volumes"
    made.mkdir()
    return made


@pytest.fixture(autouse=True)
def clean(cluster: ControlPlane) -> Iterator[None]:
    """Leave no claims and volumes."""
    yield
    client = cluster.client()
    for found in client.list(PersistentVolumeClaim, namespace="default"):
        unprotect(cluster, found)
    for volume in client.list(PersistentVolume):
        unprotect(cluster, volume)
    client.deletecollection(PersistentVolumeClaim, namespace="default")
    client.deletecollection(PersistentVolume)


def unprotect(cluster: ControlPlane, found: PersistentVolumeClaim | PersistentVolume) -> None:
    """Take the finalizer away, as controllers do where nothing uses an object."""
    change = {"metadata": {"finalizers": None}}
    if isinstance(found, PersistentVolume):
        cluster.client().patch(PersistentVolume, name_of(found), change)
    else:
        cluster.client().patch(PersistentVolumeClaim, name_of(found), change, namespace="default")


def name_of(found: PersistentVolumeClaim | PersistentVolume) -> str:
    return str((found.metadata or ObjectMeta()).name)


def service_kubeconfig(cluster: ControlPlane) -> KubeConfig:
    token = cluster.token(Service.STORAGE, pod="storage", node=NODE)
    return KubeConfig.from_file(cluster.token_kubeconfig(token))


@asynccontextmanager
async def running(cluster: ControlPlane, folder: Path) -> AsyncIterator[None]:
    """Run the service of a node, with the token that its pod would have."""
    settings = Settings(node=NODE, folder=folder, host="127.0.0.1", status_port=0)
    async with api_client(service_kubeconfig(cluster), timeout=8) as client, serve(settings, client):
        yield


def claim(
    name: str = "data", *, node: str = NODE, size: str = "1Mi", modes: tuple[str, ...] = ("ReadWriteOnce",)
) -> PersistentVolumeClaim:
    annotations = {SELECTED_NODE: node, CLAIMED_OF: VOLUME_PROVISIONER}
    spec = PersistentVolumeClaimSpec(
        accessModes=list(modes),
        storageClassName=NAME,
        resources=VolumeResourceRequirements(requests={"storage": size}),
    )
    return PersistentVolumeClaim(
        metadata=ObjectMeta(name=name, namespace="default", annotations=annotations), spec=spec
    )


def volumes(cluster: ControlPlane) -> list[PersistentVolume]:
    return list(cluster.client().list(PersistentVolume))


async def one_volume(cluster: ControlPlane) -> PersistentVolume:
    await wait_for_async([Condition("there is a volume", lambda: None if volumes(cluster) else "none")], timeout=20)
    (volume,) = volumes(cluster)
    return volume


async def test_a_claim_gets_a_folder_on_the_node_of_its_pod(cluster: ControlPlane, folder: Path) -> None:
    async with running(cluster, folder):
        wanted = cluster.client().create(claim())
        volume = await one_volume(cluster)
    uid, spec = wanted.to_dict()["metadata"]["uid"], volume.to_dict()["spec"]
    assert spec["claimRef"]["uid"] == uid
    assert spec["local"] == {"path": f"{VOLUMES_FOLDER}/pvc-{uid}"}
    assert spec["capacity"] == {"storage": "1Mi"}
    assert modes_in(folder) == {name_of(volume): 0o777}


def modes_in(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_a_released_volume_is_deleted_with_all_that_is_in_it(cluster: ControlPlane, folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.write_text("stays", encoding="utf-8")
    async with running(cluster, folder):
        cluster.client().create(claim())
        volume = await one_volume(cluster)
        made = folder / name_of(volume)
        (made / "file").write_text("data", encoding="utf-8")
        (made / "way-out").symlink_to(folder.parent)
        release(cluster, volume)
        await wait_for_async(
            [Condition("its folder is gone", lambda: "it is there" if made.exists() else None)], timeout=20
        )
        await wait_for_async([Condition("it is deleted", lambda: deleting(cluster, volume))], timeout=20)
    assert outside.read_text(encoding="utf-8") == "stays"


def release(cluster: ControlPlane, volume: PersistentVolume) -> None:
    """Write what the volume controller writes when a claim is gone."""
    client = cluster.client()
    (bound,) = client.list(PersistentVolumeClaim, namespace="default")
    client.patch(PersistentVolumeClaim, name_of(bound), {"spec": {"volumeName": name_of(volume)}}, namespace="default")
    unprotect(cluster, bound)
    client.delete(PersistentVolumeClaim, name_of(bound), namespace="default")
    client.patch(PersistentVolume.Status, name_of(volume), {"status": {"phase": "Released"}})


def deleting(cluster: ControlPlane, volume: PersistentVolume) -> str | None:
    try:
        found = cluster.client().get(PersistentVolume, name_of(volume))
    except ApiError as error:
        return None if error.status.code == HTTPStatus.NOT_FOUND else str(error)
    return None if found.metadata and found.metadata.deletionTimestamp else "it is there"


async def test_a_volume_that_shall_be_kept_is_kept(cluster: ControlPlane, folder: Path) -> None:
    async with running(cluster, folder):
        client = cluster.client()
        client.create(claim())
        volume = await one_volume(cluster)
        client.patch(PersistentVolume, name_of(volume), {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
        release(cluster, volume)
        client.create(claim("later"))
        await wait_for_async(
            [Condition("a later claim is served", lambda: None if len(volumes(cluster)) == 2 else "not yet")],
            timeout=20,
        )
    assert (folder / name_of(volume)).is_dir()


@pytest.mark.parametrize(
    "wanted, reason",
    [
        (claim(modes=("ReadWriteMany",)), "expected ReadWriteOnce or ReadWriteOncePod, got ReadWriteMany"),
        (claim(size="900Ti"), "bytes left"),
    ],
)
async def test_what_cannot_be_is_told(
    cluster: ControlPlane, folder: Path, wanted: PersistentVolumeClaim, reason: str
) -> None:
    async with running(cluster, folder):
        created = cluster.client().create(wanted)
        said = Condition("there is an event", lambda: None if reason in events(cluster, created) else "none")
        await wait_for_async([said], timeout=20)
    assert volumes(cluster) == []
    assert modes_in(folder) == {}


def events(cluster: ControlPlane, about: PersistentVolumeClaim) -> str:
    uid = about.metadata.uid if about.metadata else None
    found = cluster.client().list(Event, namespace="default")
    return "\n".join(str(event.message) for event in found if event.involvedObject.uid == uid)


async def test_a_claim_of_another_node_is_another_services(cluster: ControlPlane, folder: Path) -> None:
    async with running(cluster, folder):
        cluster.client().create(claim("theirs", node="control-plane-0"))
        cluster.client().create(claim("ours"))
        volume = await one_volume(cluster)
    assert volume.to_dict()["spec"]["claimRef"]["name"] == "ours"
    assert modes_in(folder).keys() == {name_of(volume)}


def test_without_a_class_a_claim_gets_ours(cluster: ControlPlane) -> None:
    made = storage_class().to_dict()
    assert made["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert (made["volumeBindingMode"], made["reclaimPolicy"]) == ("WaitForFirstConsumer", "Delete")
    unnamed = claim("unnamed")
    assert unnamed.spec
    unnamed.spec.storageClassName = None
    assert cluster.client().create(unnamed).to_dict()["spec"]["storageClassName"] == NAME


def forged(**changes: str) -> PersistentVolume:
    """Describe a volume that the service of a node must not make."""
    wanted = claim()
    assert wanted.metadata
    wanted.metadata.uid = "7b3c1f0e-2a44-4c58-9d1b-0f6a5e8c9d10"
    volume = volume_for(wanted, changes.get("node", NODE), Path(VOLUMES_FOLDER))
    assert volume.spec
    assert volume.spec.local
    volume.spec.local.path = changes.get("path", volume.spec.local.path)
    return volume


@pytest.mark.parametrize(
    "changes",
    [
        {"node": "control-plane-0"},
        {"path": "/etc/kubernetes"},
        {"path": f"{VOLUMES_FOLDER}/../../../etc"},
        {"path": f"{VOLUMES_FOLDER}/pvc-7b3c1f0e-2a44-4c58-9d1b-0f6a5e8c9d10/.."},
    ],
    ids=str,
)
def test_a_node_offers_nothing_but_folders_of_its_own(cluster: ControlPlane, changes: dict[str, str]) -> None:
    assert refusal(cluster, **changes) is None


def refusal(cluster: ControlPlane, **changes: str) -> str | None:
    """Try to make a volume as the service of a node; None where that is refused, else what happens."""
    client = cluster.client(cluster.token_kubeconfig(cluster.token(Service.STORAGE, pod="storage", node=NODE)))
    try:
        client.create(forged(**changes), dry_run=True)
    except ApiError as error:
        ours = "volumes of its own node" in str(error)
        return None if ours or error.status.code == HTTPStatus.UNPROCESSABLE_ENTITY else str(error)
    return "it was accepted"


def test_a_node_deletes_no_volume_of_another(cluster: ControlPlane) -> None:
    cluster.client().create(forged(node="control-plane-0"))
    client = cluster.client(cluster.token_kubeconfig(cluster.token(Service.STORAGE, pod="storage", node=NODE)))
    with pytest.raises(ApiError, match="volumes of its own node"):
        client.delete(PersistentVolume, "pvc-7b3c1f0e-2a44-4c58-9d1b-0f6a5e8c9d10")


def test_its_folder_is_on_the_state_disk() -> None:
    assert os.path.commonpath([VOLUMES_FOLDER, "/run/state"]) == "/run/state"
