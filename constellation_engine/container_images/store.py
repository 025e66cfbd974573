# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A containerd that has its images already: built with the node image, and measured with it.

The folder is what `constellation_engine.container_images.build` made, unpacked by containerd's own code in the program
`containerd-store` (components/containerd-store), and a file about it:

    containerd-store.json                                  what is inside; another text means another store
    owners.json                                            whose files are not root's: mkosi.finalize gives them away
    io.containerd.content.v1.content/blobs/sha256/…        manifests and configurations, no layers
    io.containerd.metadata.v1.bolt/meta.db                 names, and what they lead to
    io.containerd.snapshotter.v1.overlayfs/metadata.db     which snapshot is which folder
    io.containerd.snapshotter.v1.overlayfs/snapshots/N/fs  layers, unpacked

On a node it lies in the read-only root. At boot `node_agent.container_store` copies the small files to the state disk
and links the snapshots, so that nothing is unpacked there and no layer is stored twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from constellation_engine.components import Origin
from constellation_engine.components.watch import Stage, Watch
from constellation_engine.container_images.build import BuiltImage, build_control_plane
from constellation_engine.container_images.oci import read_reference
from constellation_engine.errors import ImageBuildError
from constellation_engine.whole_files import is_replaceable, replace_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from constellation_engine.components import Report, Store
    from constellation_engine.container_images.build import Sources

DESCRIPTION: Final = "containerd-store.json"
DEFAULT_TIMEOUT: Final = 3600.0  # seconds; half a minute if all programs were built before

_PROGRAM: Final = "containerd-store"
_READABLE: Final = 0o644
_VERSION: Final = 1  # of the description
_DATABASES: Final = (
    "io.containerd.metadata.v1.bolt/meta.db",
    "io.containerd.snapshotter.v1.overlayfs/metadata.db",
)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a store holds.

    Attributes:
        folder: the store.
        images: what pods name an image by → digest of its manifest, "sha256:…".
        size: of all files, bytes.
        files: how many there are.
    """

    folder: Path
    images: Mapping[str, str]
    size: int
    files: int


def build_store(
    output: Path,
    *,
    kubernetes: str,
    services: Path,
    sources: Sources,
    report: Report,
    given: Sequence[BuiltImage] = (),
    timeout: float = DEFAULT_TIMEOUT,
) -> StoreFacts:
    """Build a store with the images of the control plane, of our services, and of the user.

    The same sources give the same bytes, wherever, whenever, and by whomever. What is there before is replaced in the
    end, when the new one is whole.

    Args:
        output: folder to make, or to replace.
        kubernetes: version, `1.36` or `1.36.4`; empty for the newest.
        services: image layout, as `constellation_engine.services_image.build` makes it.
        sources: what the others are built from.
        report: is told how it goes.
        given: images of the user, as `given_images.take_images` gives them.
        timeout: seconds.

    Raises:
        ImageBuildError: something cannot be built here.
        ComponentError: a program or a package cannot be had.
    """
    watch = Watch(timeout, report)
    _check_replaceable(output)
    ours = _services_image(services)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as name:
            images = (*build_control_plane(Path(name), kubernetes, sources, watch), ours, *given)
            draft = Path(name, "store")
            _unpack(images, draft, sources.components, watch)
            replace_folder(draft, output)
    except OSError as error:
        raise ImageBuildError(
            f"{output}: the store cannot be written: {error}", hint="is the disk full, or not yours?"
        ) from error
    sizes = [path.lstat().st_size for path in output.rglob("*") if not path.is_dir() and not path.is_symlink()]
    return StoreFacts(output, _names(images), sum(sizes), len(sizes))


def _check_replaceable(output: Path) -> None:
    """See that nothing is lost when a store takes the place of a folder."""
    if not is_replaceable(output, DESCRIPTION):
        raise ImageBuildError(f"{output} is there and is no store", hint="name another folder")


def _services_image(layout: Path) -> BuiltImage:
    reference = read_reference(layout)
    return BuiltImage(reference, layout, reference.rpartition("@")[2])


def _names(images: Iterable[BuiltImage]) -> dict[str, str]:
    return {name: image.digest for image in images for name in (image.reference, *image.others)}


def _unpack(images: Sequence[BuiltImage], store: Path, components: Store, watch: Watch) -> None:
    """Let containerd's code make the store, and describe it."""
    found = components.fetch([_PROGRAM], only=Origin.BUILD, timeout=watch.remaining(_PROGRAM))
    watch.tell("container store", Stage.BUILDING)
    command = (str(found[_PROGRAM]), str(store), *(str(image.layout) for image in images))
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=watch.remaining(_PROGRAM))  # noqa: S603 - ours
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise ImageBuildError(f"images cannot be unpacked: {said[-2000:]}") from None
    except subprocess.TimeoutExpired as error:
        raise ImageBuildError(f"images were not unpacked in {error.timeout:.0f} s", hint="give it more time") from None
    description = store / DESCRIPTION
    description.write_text(_describe(images, store), encoding="utf-8")
    description.chmod(_READABLE)
    for path in (description, store):
        os.utime(path, (0, 0))  # as everything else in it
    watch.tell("container store", Stage.READY)


def _describe(images: Iterable[BuiltImage], store: Path) -> str:
    databases = {name: hashlib.sha256((store / name).read_bytes()).hexdigest() for name in _DATABASES}
    description: dict[str, Any] = {
        "version": _VERSION,
        "images": _names(images),
        "databases": databases,
    }
    return json.dumps(description, indent=2, sort_keys=True) + "\n"
