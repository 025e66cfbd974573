# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Container images that a user gives for a node image: OCI archives (tar, compressed or not) or folders with a layout.

A node has no network but its peers, so what its pods run has to be in its image. Digests stay what they were, so pods
name such an image by any tag that it came with, or by its digest.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import zlib
from lzma import LZMAError
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.container_images.build import BuiltImage
from constellation_engine.container_images.control_plane import is_ours
from constellation_engine.container_images.layout import Layout
from constellation_engine.container_images.reference import parse_reference
from constellation_engine.errors import ImageBuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from constellation_engine.container_images.layout import FoundImage
    from constellation_engine.container_images.reference import Reference

_MEMBER: Final = re.compile(r"(?:\./)?(?P<name>oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})")
_UNREADABLE: Final = (tarfile.TarError, zlib.error, LZMAError, EOFError)
_DOCKER_ARCHIVE: Final = "manifest.json"  # of `docker save` before it wrote layouts


def take_images(words: Iterable[str], folder: Path) -> tuple[BuiltImage, ...]:
    """Read images, see that a node can have them, and lay them out for the store.

    Args:
        words: `FILE` or `NAME:TAG=FILE`, which also may be a folder.
        folder: gets a folder for each image, with links to what was a folder before.

    Returns:
        The images, with all names that pods may use.

    Raises:
        ImageBuildError: something is no image, is for another platform, is damaged, has no name, or a name that is
            taken. Names the file.
    """
    images: list[BuiltImage] = []
    taken: set[str] = set()
    for number, word in enumerate(words):
        name, file = _split(word)
        try:
            image = _take(file, name, folder / str(number))
        except ImageBuildError as error:
            raise ImageBuildError(f"{file}: {error}", hint=error.hint) from None
        for reference in (image.reference, *image.others):
            if reference in taken:
                raise ImageBuildError(f"{file}: another image is called {reference}, too", hint="give it once")
            taken.add(reference)
        images.append(image)
    return tuple(images)


def _split(word: str) -> tuple[str, Path]:
    """Take a word apart; a file may have "=" in its name."""
    name, separator, file = word.partition("=")
    if separator and not Path(word).exists():
        return name, Path(file)
    return "", Path(word)


def _take(file: Path, name: str, target: Path) -> BuiltImage:
    source = file
    if not file.exists():
        raise ImageBuildError("expected the archive or the folder of an image, there is nothing")
    if not file.is_dir():
        source = target.with_name(f"{target.name}-archive")
        _unpack(file, source)
    found = Layout(source).find()
    names = (name,) if name else found.names
    if not names:
        raise ImageBuildError("the image has no name", hint=f"give it one: registry.example/program:1.0={file}")
    references = [_free(parse_reference(text)) for text in names]
    target.mkdir(parents=True)
    (target / "blobs").symlink_to((source / "blobs").absolute())
    _write_index(target, found, references)
    first, *others = dict.fromkeys(map(str, references))
    return BuiltImage(first, target, found.manifest.digest, tuple(others))


def _free(reference: Reference) -> Reference:
    if is_ours(reference.repository):
        raise ImageBuildError(
            f"{reference} is the name of an image that every node has",
            hint="give yours another: registry.example/program:1.0=FILE",
        )
    return reference


def _unpack(file: Path, target: Path) -> None:
    """Unpack what belongs to a layout, and nothing else."""
    (target / "blobs" / "sha256").mkdir(parents=True)
    seen: set[str] = set()
    try:
        with tarfile.open(file) as archive:
            for entry in archive:
                seen.add(entry.name)
                match = _MEMBER.fullmatch(entry.name)
                content = archive.extractfile(entry) if match and entry.isreg() else None
                if match and content:
                    with (target / match["name"]).open("wb") as place:
                        shutil.copyfileobj(content, place)
    except _UNREADABLE as error:
        raise ImageBuildError(f"expected a tar archive with an OCI image layout: {error}") from None
    if _DOCKER_ARCHIVE in seen and "oci-layout" not in seen:
        raise ImageBuildError(
            "expected an OCI image layout, got an archive of an old Docker",
            hint=f"skopeo copy docker-archive:{file} oci-archive:FILE:NAME:TAG",
        )


def _write_index(layout: Path, found: FoundImage, references: Sequence[Reference]) -> None:
    """Write the index for the store: an entry for each name, by tag and by digest."""
    names = [str(reference) for reference in references]
    names += [f"{reference.repository}@{digest}" for reference in references for digest in found.digests]
    manifest = found.manifest
    entries = [
        {
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.size,
            "annotations": {"io.containerd.image.name": name},
        }
        for name in dict.fromkeys(names)
    ]
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}), encoding="ascii")
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="ascii")


def size_of(images: Iterable[BuiltImage]) -> int:
    """Give the size of images as they were given, bytes."""
    return sum(path.stat().st_size for image in images for path in _blobs(image))


def _blobs(image: BuiltImage) -> Iterator[Path]:
    return (image.layout / "blobs" / "sha256").iterdir()
