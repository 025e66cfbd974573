# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Build the image: three folders become three layers, and these an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from constellation_engine.components.watch import Stage, Watch
from constellation_engine.container_images.frame import USER
from constellation_engine.container_images.layer import write_layer
from constellation_engine.container_images.oci import Settings, check_replaceable, write_image
from constellation_engine.debian.mirror import fetch
from constellation_engine.debian.packages import read_lock
from constellation_engine.errors import ImageBuildError
from constellation_engine.services_image import base, ours, wheels
from constellation_engine.services_image.interpreter import check_machine, compile_modules, try_imports
from constellation_engine.services_image.packages import LIST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from constellation_engine.components.watch import Report
    from constellation_engine.container_images.layer import Layer
    from constellation_engine.debian.mirror import Mirrors
    from constellation_engine.debian.packages import Package

NAME: Final = "localhost/constellation-services"  # without a host, Kubernetes would make it docker.io/library/…
LOCK: Final = LIST.file
DEFAULT_TIMEOUT: Final = 600.0  # seconds; half a minute is usual
SETTINGS: Final = Settings(
    user=f"{USER}:{USER}",
    entrypoint=(f"/{ours.PROGRAM}",),
    environment=("PATH=/usr/bin",),
    labels={
        "org.opencontainers.image.title": "constellation-services",
        "org.opencontainers.image.description": "The join, key and verification services of Constellation",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.vendor": "The Constellation authors",
    },
)

_LOWEST: Final = "base"


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that was built.

    Attributes:
        layout: folder with the image layout.
        digest: of its manifest, "sha256:…".
        size: of all layers, bytes.
    """

    layout: Path
    digest: str
    size: int

    @property
    def reference(self) -> str:
        """What pods name it by."""
        return f"{NAME}@{self.digest}"


def find_repository(folder: Path | None = None) -> Path:
    """Find the checkout that sources and locks come from.

    Args:
        folder: the checkout; default: the one that this module is in.

    Raises:
        ImageBuildError: it is none: an installed package has no locks.
    """
    repository = folder or Path(__file__).parents[2]
    if all((repository / name).is_file() for name in (LOCK, "uv.lock")):
        return repository
    raise ImageBuildError(
        f"{repository}: expected a checkout of Constellation, with uv.lock and {LOCK}",
        hint="name one: --repository FOLDER",
    )


def build(
    output: Path,
    *,
    repository: Path,
    mirrors: Mirrors,
    report: Report,
    timeout: float = DEFAULT_TIMEOUT,
) -> BuiltImage:
    """Build the image of the services. The same sources and locks give the same bytes, wherever and whenever.

    Args:
        output: folder of the image layout, to make or to replace.
        repository: sources, `uv.lock`, and the list of Debian packages.
        mirrors: of Debian.
        report: is told how it goes.
        timeout: seconds.

    Raises:
        ImageBuildError: something cannot be built here.
        ComponentError: a package cannot be downloaded, or has another hash.
    """
    check_machine()
    check_replaceable(output)
    watch = Watch(timeout, report)
    packages = read_lock(repository / LOCK, LIST.wanted)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        files = {package: fetch(package, mirrors, watch) for package in packages}
        with TemporaryDirectory(prefix="constellation-image-") as name:
            layers = _make_layers(_Stage(Path(name), watch), repository, files)
            digest = write_image(output, NAME, layers, SETTINGS)
    except OSError as error:
        raise ImageBuildError(
            f"the image cannot be written: {error}", hint="is the disk full, or not yours?"
        ) from error
    return BuiltImage(output, digest, sum(layer.size for layer in layers))


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where layers are made: a folder of its own for each, which stands for the root of the file system."""

    folder: Path
    watch: Watch

    def make_layer(self, name: str, title: str, fill: Callable[[Path], None]) -> Layer:
        """Fill a folder, compile what is in it, and pack it."""
        folder = self.folder / name
        folder.mkdir()
        self.watch.tell(title, Stage.BUILDING)
        fill(folder)
        compile_modules(self.folder / _LOWEST, folder, timeout=self.watch.remaining(title))
        layer = write_layer(folder, self.folder / f"{name}.tar", title)
        self.watch.tell(title, Stage.READY)
        return layer


def _make_layers(stage: _Stage, repository: Path, files: Mapping[Package, Path]) -> list[Layer]:
    """Make all layers, and see that together they have what the services import."""

    def install_wheels(folder: Path) -> None:
        wheels.install_wheels(repository, folder, timeout=stage.watch.remaining(wheels.TITLE))

    layers = [
        stage.make_layer(_LOWEST, base.TITLE, lambda folder: base.make_base(folder, files)),
        stage.make_layer("wheels", wheels.TITLE, install_wheels),
        stage.make_layer("ours", ours.TITLE, lambda folder: ours.copy_ours(repository, folder)),
    ]
    search = [stage.folder / name / wheels.PACKAGES for name in ("wheels", "ours")]
    try_imports(stage.folder / _LOWEST, search, timeout=stage.watch.remaining(ours.TITLE))
    return layers
