# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which node image of this host a task names, and what is said of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from constellation_core.image_manifest import ImageManifest
    from constellation_engine.node_image.choosing import FoundImage
    from constellation_engine.node_image.image_folder import ImageFolder


def image_of(module: AnsibleModule) -> ImageFolder:
    """Give the image that the option `image` names, a folder or a name.

    Raises:
        UnknownImageError: there is none, or there are several.
    """
    from constellation_engine.node_image.choosing import named_folder

    return named_folder(module.params["image"])


def public_key_of(module: AnsibleModule) -> bytes | None:
    """Read whose signatures count, PEM; None where nobody said.

    Raises:
        NodeImageError: the file cannot be read, or holds no such key.
        SecretFileError: it holds a private key that others may read.
    """
    from constellation_engine.node_image.signing import read_public_key

    named = module.params["public_key"]
    return read_public_key(Path(named)) if named is not None else None


def manifest_record(manifest: ImageManifest) -> dict[str, Any]:
    """Give what an image measures as plain data, in the words of `measurements.json`."""
    return {name: value for name, value in manifest.to_record().items() if name != "version"}


def image_record(found: FoundImage) -> dict[str, Any]:
    """Give what an image says to be, and where it is. Nobody signs this: what counts is measured."""
    build = found.build
    return {
        "name": build.name,
        "version": build.version,
        "short_path": found.short_path,
        "target": build.target,
        "variant": build.variant.value,
        "profile": build.profile,
        "kubernetes_version": f"v{build.kubernetes}",
        "created": build.to_record()["created"],
        "path": str(found.folder.path.resolve()) if found.folder is not None else None,
        "reference": found.reference,
    }
