# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Write an image as a folder: OCI image format specification 1.1, "Image Layout", "Image Manifest", "Configuration".

    oci-layout            version of the layout
    index.json            names the manifest
    blobs/sha256/…        manifest, configuration, layers, each called by its digest

All JSON is canonical (sorted keys, no spaces) and knows no time, so equal layers make an equal image.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from constellation_engine.errors import ImageBuildError
from constellation_engine.whole_files import is_replaceable, whole_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from constellation_engine.container_images.layer import Layer

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIGURATION: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"

_LAYOUT: Final = "oci-layout"
_CONTAINERD_NAME: Final = "io.containerd.image.name"
_NO_TIME: Final = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a container of the image runs, and what the image says of itself.

    Attributes:
        user: "uid:gid".
        entrypoint: program and its first arguments.
        arguments: what the entrypoint is given, unless a container says otherwise.
        environment: "NAME=value".
        labels: annotations of the OCI specification, such as `org.opencontainers.image.title`.
        architecture: as Go calls it.
    """

    user: str
    entrypoint: Sequence[str] = ()
    arguments: Sequence[str] = ()
    environment: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"


def check_replaceable(layout: Path) -> None:
    """See that nothing is lost when an image takes the place of a folder.

    Raises:
        ImageBuildError: something else is there.
    """
    if not is_replaceable(layout, _LAYOUT):
        raise ImageBuildError(f"{layout} is there and is no image", hint="name another folder: --output FOLDER")


def write_image(
    layout: Path,
    name: str,
    layers: Sequence[Layer],
    settings: Settings,
    *,
    tag: str = "",
    aliases: Sequence[str] = (),
) -> str:
    """Write an image layout with one image.

    Args:
        layout: folder to make, or to replace; see `check_replaceable`.
        name: what the image is called, without tag and digest.
        layers: from the lowest up.
        settings: of the image.
        tag: by which containers refer to it; empty: they do by its digest.
        aliases: whole references that lead to it, too.

    Returns:
        Digest of the manifest, "sha256:…": the image is pinned by it.
    """
    with whole_folder(layout) as draft:
        manifest = _write_manifest(draft, layers, settings)
        digest: str = manifest["digest"]
        references = (f"{name}:{tag}" if tag else f"{name}@{digest}", *aliases)
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{**manifest, "annotations": _names(reference, name)} for reference in references],
        }
        (draft / "index.json").write_bytes(_canonical(index))
        (draft / _LAYOUT).write_bytes(_canonical({"imageLayoutVersion": "1.0.0"}))
    return digest


def _write_manifest(draft: Path, layers: Sequence[Layer], settings: Settings) -> dict[str, Any]:
    """Write an image without its names; give its descriptor."""
    (draft / "blobs" / "sha256").mkdir(parents=True)
    for layer in layers:
        shutil.copyfile(layer.file, draft / "blobs" / "sha256" / layer.sha256)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _add(draft, CONFIGURATION, _configuration(layers, settings)),
        "layers": [_descriptor(LAYER, layer.sha256, layer.size) for layer in layers],
        "annotations": dict(settings.labels),
    }
    return {
        **_add(draft, MANIFEST, manifest),
        "platform": {"architecture": settings.architecture, "os": "linux"},
    }


def _names(reference: str, name: str) -> dict[str, str]:
    return {"org.opencontainers.image.ref.name": name, _CONTAINERD_NAME: reference}


def read_reference(layout: Path) -> str:
    """Read what containers name the image of a layout by; the first name, if there are aliases.

    Raises:
        ImageBuildError: there is no layout, or the image has no name.
    """
    try:
        entries = json.loads((layout / "index.json").read_bytes())["manifests"]
        return str(entries[0]["annotations"][_CONTAINERD_NAME])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ImageBuildError(f"{layout}: expected the layout of an image with a name: {error!r}") from None


def _configuration(layers: Sequence[Layer], settings: Settings) -> dict[str, Any]:
    return {
        "created": _NO_TIME,
        "architecture": settings.architecture,
        "os": "linux",
        "config": {
            "User": settings.user,
            "Entrypoint": list(settings.entrypoint),
            **({"Cmd": list(settings.arguments)} if settings.arguments else {}),
            "Env": list(settings.environment),
            "WorkingDir": "/",
            "Labels": dict(settings.labels),
            "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.sha256}" for layer in layers]},
        "history": [{"created": _NO_TIME, "created_by": layer.title} for layer in layers],
    }


def _add(layout: Path, media_type: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document among the blobs; give its descriptor."""
    data = _canonical(content)
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(data)
    return _descriptor(media_type, digest, len(data))


def _descriptor(media_type: str, sha256: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256}", "size": size}


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
