# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Build again from the packages of another build: a folder of .deb files that mkosi installs from, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from constellation_engine.components.cache import sha256_of
from constellation_engine.container_images.control_plane import is_ours
from constellation_engine.errors import NodeImageError
from constellation_engine.node_image.gather import gather
from constellation_engine.node_image.image_folder import read_bounded
from constellation_engine.node_image.installed import InstalledPackage, index_files
from constellation_engine.node_image.packages import MAX_SIZE, ContainerImage, PackageManifest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from constellation_engine.components.watch import Report
    from constellation_engine.container_images.build import BuiltImage
    from constellation_engine.debian.mirror import Mirrors
    from constellation_engine.node_image.gather import Snapshot
    from constellation_engine.node_image.packages import DebianPackage


@dataclass(frozen=True, slots=True)
class PackagePlaces:
    """Where packages may be, in the order in which they are looked for.

    Attributes:
        kept: where mkosi keeps what it downloaded.
        cache: of packages by hash; see `gather`.
        mirrors: of Debian.
        snapshot: has what mirrors dropped; None: nobody is asked.
    """

    kept: Path
    cache: Path
    mirrors: Mirrors
    snapshot: Snapshot | None


def collect_packages(manifest: Path, folder: Path, places: PackagePlaces, *, report: Report, timeout: float) -> None:
    """Put every package of a build into a folder, those of its tools too.

    Args:
        manifest: `packages.json` of an image.
        folder: to make.
        places: where packages may be.
        report: is told how it goes.
        timeout: seconds.

    Raises:
        MalformedError: the manifest is none.
        NodeImageError: packages are no longer to be had; names each.
    """
    record = PackageManifest.from_document(read_bounded(manifest, MAX_SIZE))
    wanted = {*record.debian, *record.tools}
    here = _already_here(wanted, places.kept)
    found = gather(
        sorted(wanted - here.keys()),
        cache=places.cache,
        mirrors=places.mirrors,
        snapshot=places.snapshot,
        report=report,
        timeout=timeout,
    ).require_all()
    folder.mkdir(parents=True)
    for package, file in {**here, **found}.items():
        _link(file, folder / package.file_name)


def check_containers(manifest: Path, given: Iterable[BuiltImage]) -> None:
    """See that a user gives the container images that another build had of a user, and no others.

    Args:
        manifest: `packages.json` of an image.
        given: the images.

    Raises:
        MalformedError: the manifest is none.
        NodeImageError: images are missing, are others, or are too many; names each.
    """
    record = PackageManifest.from_document(read_bounded(manifest, MAX_SIZE))
    wanted = {one for one in record.containers if not is_ours(one.name.partition(":")[0])}
    here = {ContainerImage(name, image.digest) for image in given for name in (image.reference, *image.others)}
    missing, extra = sorted(wanted - here), sorted(here - wanted)
    if missing or extra:
        lists = (("missing", missing), ("not wanted", extra))
        said = [f"{what}: " + ", ".join(f"{one.name} {one.digest}" for one in them) for what, them in lists if them]
        raise NodeImageError(
            f"{manifest} was written with other container images; {'; '.join(said)}",
            hint="give the same ones: --container-image FILE",
        )


def _already_here(wanted: set[DebianPackage], kept: Path) -> dict[DebianPackage, Path]:
    """Find packages that mkosi still has, by name and then by hash."""
    files = index_files([kept])
    named = {one: files.get(InstalledPackage(one.name, one.version, one.architecture)) for one in wanted}
    return {one: file for one, file in named.items() if file is not None and sha256_of(file) == one.sha256}


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:  # another file system, or one without hard links
        place.write_bytes(file.read_bytes())
