# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the machines of a cluster can go over to another node image, and who may join then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attestation.errors import AttestationError
from constellation_core.join_config import JoinConfig
from constellation_engine.errors import WorkspaceError
from constellation_engine.local_cluster.machines import booted_images
from constellation_engine.local_cluster.settings import read_settings, write_settings
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.packages import PackageManifest
from constellation_engine.services_image.build import NAME as SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from constellation_core.image_manifest import SignedManifest
    from constellation_engine.local_cluster.workspace import Workspace


def require_possible(workspace: Workspace, image: ImageFolder, join: JoinConfig | None = None) -> None:
    """See that the machines of a cluster can go over to an image.

    1. It is for the same platform, and of the same profile (attack: an image with a shell takes the place of one
       without).
    2. It brings the same Kubernetes, and every container that nodes run: nothing is pulled.
    3. Nodes with it and those with the image of before believe each other's manifests (attack: nodes that trust images
       of somebody else).
    4. What was written down of who may join lets in machines with either; a list of images follows by itself.

    Args:
        workspace: of the cluster.
        image: that machines shall boot.
        join: who may join, where somebody asks for that too; None for what is written down.

    Raises:
        WorkspaceError: they cannot; says everything that is in the way.
        NodeImageError: an image cannot be read.
    """
    if not workspace.state.cluster_id:
        raise WorkspaceError(
            f"{workspace.folder}: the cluster is not up yet, and begins with the image {workspace.state.spec.image}",
            hint="bring it up with that image, or remove it and begin with the other one",
        )
    before = booted_images(workspace)
    differences = [words for one in before for words in _differences(one, image)]
    differences += _refused(workspace, (image, *before), join)  # 4
    if differences:
        raise WorkspaceError(
            f"image: the machines of {workspace.folder} cannot go over to {image.path}: {'; '.join(differences)}",
            hint="build one with the same configuration, key and Kubernetes as the one of before",
        )


def follow_images(workspace: Workspace) -> None:
    """Let a list of images that may join be that of the images that machines boot: two in an upgrade, then one."""
    settings = read_settings(workspace)
    if not settings.join_config:
        return
    config = JoinConfig.from_yaml(settings.join_config)
    followed = with_images(config, booted_images(workspace))
    if followed != config:
        write_settings(workspace, replace(settings, join_config=followed.to_yaml()))


def with_images(config: JoinConfig, images: Sequence[ImageFolder]) -> JoinConfig:
    """Give a join-config with these images in the place of all others, if it lists any; the first one's key signs."""
    if not config.images:
        return config
    key = images[0].read(ImageFile.PUBLIC_KEY).decode("ascii")
    return replace(config, image_key=key, images=tuple(image.read_signed() for image in images))


def _differences(before: ImageFolder, after: ImageFolder) -> Iterator[str]:
    old, new = before.read_build(), after.read_build()
    for name in ("variant", "profile", "kubernetes"):  # 1, 2
        if getattr(old, name) != getattr(new, name):
            yield f"{name}: expected {getattr(old, name)}, got {getattr(new, name)}"
    if missing := _containers(before) - _containers(after):  # 2
        yield f"containers: expected {', '.join(sorted(missing))} among them"
    if not (_believes(before, after.read_signed()) and _believes(after, before.read_signed())):  # 3
        yield "signature: expected one that nodes of both images believe, got that of another key"


def _containers(image: ImageFolder) -> set[str]:
    """Give what containers nodes need; that of the services goes along with the image."""
    packages = PackageManifest.from_document(image.read(ImageFile.PACKAGES))
    return {one.name for one in packages.containers} - {SERVICES}


def _believes(image: ImageFolder, manifest: SignedManifest) -> bool:
    try:
        manifest.verify(image.read(ImageFile.PUBLIC_KEY))
    except AttestationError:
        return False
    return True


def _refused(workspace: Workspace, images: Sequence[ImageFolder], join: JoinConfig | None) -> Iterator[str]:
    written = read_settings(workspace).join_config
    if join is None and written:
        join = JoinConfig.from_yaml(written)
        if join.images:
            return  # they follow
    if join is None:
        return
    for image in images:
        manifest = image.read_manifest()
        if not any(one.measurements == manifest.policy({}).measurements for one in join.policies_for(manifest.variant)):
            yield f"join_config: expected one that lets in machines with {image.path} until all are gone over"
