# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Read image layouts of others: OCI image format specification 1.1, "Image Layout", "Image Index", "Image Manifest".

Also with the media types of Docker, which mean the same. A layout may have indexes within its index, one entry for each
platform; exactly one image may be for a node's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from constellation_engine.components.cache import sha256_of
from constellation_engine.errors import ImageBuildError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLATFORM: Final = ("linux", "amd64")
MAX_DOCUMENT: Final = 4 << 20  # bytes of an index, a manifest, a configuration: registries take no more

_INDEXES: Final = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
_MANIFESTS: Final = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}
_MAX_DEPTH: Final = 3  # of indexes within indexes; tools make two
_DIGEST: Final = re.compile(r"sha256:(?P<value>[0-9a-f]{64})")
_NAMES: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_WHOLE_NAME: Final = re.compile(r".*[:/].*")  # Docker writes the tag alone into the second annotation


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What leads to a blob.

    Attributes:
        media_type: what it is.
        digest: of it, "sha256:…".
        size: of it, bytes.
        platform: operating system and architecture; None where it does not say.
        name: of the image that it leads to; empty where it does not say.
    """

    media_type: str
    digest: str
    size: int
    platform: tuple[str, str] | None
    name: str

    @property
    def sha256(self) -> str:
        """The digest, hexadecimal."""
        return self.digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class FoundImage:
    """The image of a layout.

    Attributes:
        manifest: leads to its manifest.
        names: that the layout gives it.
        digests: by which it can be asked for: of the manifest, and of indexes that lead to it.
    """

    manifest: Descriptor
    names: tuple[str, ...]
    digests: tuple[str, ...]


class Layout:
    """A folder with an image layout.

    Args:
        folder: of it.

    Raises:
        ImageBuildError: it is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "oci-layout").is_file() or not (folder / "index.json").is_file():
            raise ImageBuildError(
                "expected an OCI image layout, with oci-layout and index.json",
                hint="skopeo copy SOURCE oci-archive:FILE:NAME:TAG makes one of any image",
            )

    def find(self) -> FoundImage:
        """Find the one image for a node, and see that everything of it is there and has its digest.

        Raises:
            ImageBuildError: there is none, or more than one; or something of it is missing, damaged, or for another
                platform.
        """
        ways = list(self._ways(_descriptors(self._read(self._folder / "index.json", "index.json"), "manifests")))
        suitable = [way for way in ways if way[-1].platform in {None, PLATFORM}]
        if not suitable:
            others = sorted({"/".join(way[-1].platform or ()) for way in ways})
            raise _wrong_platform(", ".join(others) or "no image at all")
        if len({way[-1].digest for way in suitable}) > 1:
            raise ImageBuildError(
                f"expected one image, got {len(suitable)}: {', '.join(_title(way) for way in suitable)}",
                hint="put each into a file of its own",
            )
        manifest = suitable[0][-1]
        self._check(manifest)
        names = dict.fromkeys(step.name for way in suitable for step in way if step.name)
        digests = dict.fromkeys(step.digest for way in suitable for step in reversed(way))
        return FoundImage(manifest, tuple(names), tuple(digests))

    def _ways(
        self, steps: tuple[Descriptor, ...], above: tuple[Descriptor, ...] = ()
    ) -> Iterator[tuple[Descriptor, ...]]:
        """Give all ways from the index to a manifest."""
        for step in steps:
            if step.media_type in _MANIFESTS:
                yield (*above, step)
            elif step.media_type in _INDEXES and len(above) < _MAX_DEPTH:
                yield from self._ways(_descriptors(self._document(step), "manifests"), (*above, step))

    def _check(self, manifest: Descriptor) -> None:
        content = self._document(manifest)
        layers = _descriptors(content, "layers")
        (config,) = _descriptors({"config": [content.get("config")]}, "config")
        said = self._document(config)
        platform = (said.get("os"), said.get("architecture"))
        if platform != PLATFORM:
            raise _wrong_platform("/".join(map(str, platform)))
        for layer in layers:
            self._check_digest(layer)

    def _check_digest(self, blob: Descriptor) -> None:
        file = self._place(blob)
        if not file.is_file():
            raise ImageBuildError(f"expected the blob {blob.digest}, which is not there", hint="is the file complete?")
        if (got := sha256_of(file)) != blob.sha256:
            raise ImageBuildError(f"expected a blob with the digest {blob.digest}, got sha256:{got}")

    def _document(self, blob: Descriptor) -> dict[str, Any]:
        document = self._read(self._place(blob), blob.digest)
        self._check_digest(blob)
        return document

    def _place(self, blob: Descriptor) -> Path:
        return self._folder / "blobs" / "sha256" / blob.sha256

    def _read(self, file: Path, title: str) -> dict[str, Any]:
        """Read a document."""
        try:
            with file.open("rb") as stream:
                record = json.loads(stream.read(MAX_DOCUMENT + 1).decode())
        except FileNotFoundError:
            raise ImageBuildError(
                f"expected the blob {title}, which is not there", hint="is the file complete?"
            ) from None
        except (ValueError, RecursionError) as error:
            raise ImageBuildError(f"{title}: expected JSON: {error}") from None
        if not isinstance(record, dict):
            raise ImageBuildError(f"{title}: expected a JSON object")
        return record


def _descriptors(record: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    entries = record.get(key)
    if not isinstance(entries, list):
        raise ImageBuildError(f"expected a list of {key}, got {entries!r:.40}")
    return tuple(map(_descriptor, entries))


def _descriptor(record: object) -> Descriptor:
    fields: dict[str, Any] = record if isinstance(record, dict) else {}
    media_type, digest, size = fields.get("mediaType"), fields.get("digest"), fields.get("size")
    if not isinstance(media_type, str) or not isinstance(digest, str) or type(size) is not int:
        raise ImageBuildError(f"expected mediaType, digest and size of a blob, got {record!r:.80}")
    if not _DIGEST.fullmatch(digest):
        raise ImageBuildError(f"expected a digest sha256:… of a blob, got {digest!r:.80}")
    platform, annotations = fields.get("platform"), fields.get("annotations")
    return Descriptor(
        media_type,
        digest,
        size,
        (str(platform.get("os")), str(platform.get("architecture"))) if isinstance(platform, dict) else None,
        _name(annotations) if isinstance(annotations, dict) else "",
    )


def _name(annotations: dict[str, Any]) -> str:
    found = (annotations.get(key) for key in _NAMES)
    return next((name for name in found if isinstance(name, str) and _WHOLE_NAME.fullmatch(name)), "")


def _title(way: tuple[Descriptor, ...]) -> str:
    return next((step.name for step in way if step.name), way[-1].digest)


def _wrong_platform(got: str) -> ImageBuildError:
    return ImageBuildError(
        f"expected an image for {'/'.join(PLATFORM)}, got {got}",
        hint="skopeo --override-os linux --override-arch amd64 copy … takes the right one of several",
    )
