# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Build the images of the control plane: a folder for each becomes a layer, and that an image."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from constellation_engine.components import Origin
from constellation_engine.components.watch import Stage
from constellation_engine.container_images import kube_proxy
from constellation_engine.container_images.control_plane import IMAGES, KUBE_PROXY, KUBEADM, kubeadm_references
from constellation_engine.container_images.frame import make_frame
from constellation_engine.container_images.layer import write_layer
from constellation_engine.container_images.oci import Settings, write_image
from constellation_engine.debian.mirror import fetch
from constellation_engine.debian.packages import read_lock
from constellation_engine.debian.root import unpack_packages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constellation_engine.components import Store
    from constellation_engine.components.watch import Watch
    from constellation_engine.container_images.control_plane import ProgramImage
    from constellation_engine.container_images.reference import Reference
    from constellation_engine.debian.mirror import Mirrors
    from constellation_engine.debian.packages import Package

_SEARCH_PATH: Final = "PATH=/usr/local/bin:/usr/sbin:/usr/bin"  # kubeadm's pods name programs without folders


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that was built.

    Attributes:
        reference: what pods name it by.
        layout: folder with the image layout.
        digest: of its manifest, "sha256:…".
        others: more such names.
    """

    reference: str
    layout: Path
    digest: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What images are built from.

    Attributes:
        components: programs.
        repository: a checkout, for the list of Debian packages.
        mirrors: of Debian.
    """

    components: Store
    repository: Path
    mirrors: Mirrors


def build_control_plane(folder: Path, kubernetes: str, sources: Sources, watch: Watch) -> tuple[BuiltImage, ...]:
    """Build all images that kubeadm looks for. The same sources give the same bytes, wherever and whenever.

    Args:
        folder: gets a folder for each image.
        kubernetes: version, as `Store.fetch` takes it.
        sources: what they are built from.
        watch: looks after the build.

    Raises:
        ImageBuildError: something cannot be built here.
        ComponentError: a program or a package cannot be had.
    """
    version = sources.components.manifest.version(kubernetes)
    names = [KUBEADM, *(program for image in IMAGES for program in image.programs)]
    # Only what we build is the same bytes on every machine.
    programs = sources.components.fetch(
        names,
        kubernetes=version,
        only=Origin.BUILD,
        timeout=watch.remaining("programs"),
        report=watch.pass_on,
    )
    listed = read_lock(sources.repository / kube_proxy.LIST.file, kube_proxy.LIST.wanted)
    packages = {package: fetch(package, sources.mirrors, watch) for package in listed}
    versions = {component.name: component.version for component in sources.components.manifest.select(names, version)}
    references = kubeadm_references(programs[KUBEADM], version)
    builder = _Builder(folder, programs, packages, watch)
    return tuple(builder.build(image, references[image.name], versions[image.programs[0]]) for image in IMAGES)


@dataclass(frozen=True, slots=True)
class _Builder:
    """Builds one image after the other.

    Attributes:
        folder: gets a folder for each image.
        programs: by name of the component.
        packages: of kube-proxy.
        watch: looks after the build.
    """

    folder: Path
    programs: Mapping[str, Path]
    packages: Mapping[Package, Path]
    watch: Watch

    def build(self, image: ProgramImage, reference: Reference, version: str) -> BuiltImage:
        title, layout = str(reference), self.folder / image.name
        self.watch.tell(title, Stage.BUILDING)
        self.watch.remaining(title)
        with TemporaryDirectory(prefix=f".{image.name}-", dir=self.folder) as name:
            root = Path(name, "root")
            self._fill(root, image)
            layer = write_layer(root, Path(name, "layer.tar"), f"{image.name} {version}")
            digest = write_image(
                layout,
                reference.repository,
                [layer],
                _settings(image, version),
                tag=reference.tag,
                aliases=image.aliases,
            )
        self.watch.tell(title, Stage.READY)
        return BuiltImage(title, layout, digest)

    def _fill(self, root: Path, image: ProgramImage) -> None:
        """Put what an image has into a folder, which stands for the root of its file system."""
        folder = root / image.folder.lstrip("/")
        root.mkdir()
        if image.name == KUBE_PROXY:
            unpack_packages(self.packages, root, kube_proxy.KEPT)
        make_frame(root)
        folder.mkdir(parents=True, exist_ok=True)
        for program in image.programs:
            shutil.copy(self.programs[program], folder)  # with its permissions


def _settings(image: ProgramImage, version: str) -> Settings:
    return Settings(
        user=f"{image.user}:{image.user}",
        entrypoint=(image.entrypoint,),
        environment=(_SEARCH_PATH,),
        labels={
            "org.opencontainers.image.title": image.name,
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.vendor": "The Constellation authors",
        },
    )
