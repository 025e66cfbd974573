# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image is what a build would make now. What a build reads is compared; nothing is built for it.

A checkout with changes that are not committed has the time of its last commit: those changes are not seen.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from attestation.errors import AttestationError
from constellation_engine.container_images.given_images import take_images
from constellation_engine.errors import NodeImageError
from constellation_engine.node_image.build import record_of
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder, read_bounded
from constellation_engine.node_image.launch import digests_of
from constellation_engine.node_image.packages import PackageManifest
from constellation_engine.node_image.repeat import check_containers
from constellation_engine.node_image.signing import fingerprints, trusted_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from constellation_engine.container_images.build import BuiltImage
    from constellation_engine.node_image.build import ImageRequest
    from constellation_engine.node_image.build_record import BuildRecord


def reasons_to_build(output: Path, request: ImageRequest) -> tuple[str, ...]:
    """Say why an image is not what would be built now.

    Args:
        output: folder of the image.
        request: which image there should be.

    Returns:
        A sentence each; nothing where it is the one.

    Raises:
        NodeImageError: the checkout does not say how old it is.
        ComponentError: there is no such version of Kubernetes.
        ImageBuildError: a container image that was given cannot be used.
        SecretFileError: the key is readable by others.
        ImageKeyError: the key is damaged.
        MachineError: launch digests cannot be computed.
    """
    folder, wanted, trusted = ImageFolder(output), record_of(request), _trusted(request.key)
    if not folder.has(ImageFile.BUILD):
        return ("there is no image",)
    with TemporaryDirectory(prefix="containers-") as place:
        given = take_images(request.containers, Path(place))
    if not trusted:
        return (f"there is no key {request.key} yet",)
    try:
        return (
            *_other_facts(folder.read_build(), wanted),
            *_other_builder(folder, trusted),
            *_other_parts(folder, given, request),
        )
    except (AttestationError, NodeImageError) as error:
        return (f"the image cannot be used: {error}",)


def _trusted(key: Path) -> bytes:
    return trusted_keys(key) if os.path.lexists(key) else b""


def _other_facts(found: BuildRecord, wanted: BuildRecord) -> Iterator[str]:
    for field in fields(wanted):
        before, after = getattr(found, field.name), getattr(wanted, field.name)
        if before != after:
            yield f"{field.name} is {before}, and should be {after}"


def _other_builder(folder: ImageFolder, trusted: bytes) -> Iterator[str]:
    if set(fingerprints(folder.read(ImageFile.PUBLIC_KEY))) != set(fingerprints(trusted)):
        yield "its nodes believe other keys than those of its builder"
    folder.read_signed().verify(trusted)


def _other_parts(folder: ImageFolder, given: Sequence[BuiltImage], request: ImageRequest) -> Iterator[str]:
    packages = PackageManifest.from_document(folder.read(ImageFile.PACKAGES))
    check_containers(folder.require(ImageFile.PACKAGES), given)
    if request.from_manifest is not None:
        wanted = PackageManifest.from_document(read_bounded(request.from_manifest))
        if wanted.debian != packages.debian:
            yield f"packages are others than in {request.from_manifest}"
    if request.launch is not None:
        signed = set(folder.read_manifest().launch_digests)
        if set(digests_of(folder, request.launch).values()) != signed:
            yield "launch digests are for other firmware or processors"
