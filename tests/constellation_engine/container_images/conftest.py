# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Small images, and the real program that unpacks them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components import Origin, Store
from constellation_engine.container_images.layer import Layer
from constellation_engine.container_images.oci import Settings, write_image

if TYPE_CHECKING:
    from pathlib import Path

MakeLayer = Callable[..., Layer]
MakeImage = Callable[..., "Path"]

SETTINGS = Settings(user="65532:65532", entrypoint=["/program"])


@pytest.fixture(scope="session")
def store_program() -> Path:
    """The program `containerd-store`."""
    return Store().fetch(["containerd-store"], only=Origin.BUILD)["containerd-store"]


@pytest.fixture
def make_layer(tmp_path: Path) -> MakeLayer:
    """Make a layer of files, and of entries that our own layers never have."""

    def make(files: dict[str, bytes], *others: tarfile.TarInfo) -> Layer:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o755
                archive.addfile(entry, io.BytesIO(content))
            for other in others:
                archive.addfile(other)
        data = buffer.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        (tmp_path / sha256).write_bytes(data)
        return Layer(tmp_path / sha256, sha256, len(data), "a layer")

    return make


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    """Make the layout of an image."""

    def make(name: str, *layers: Layer) -> Path:
        layout = tmp_path / "layouts" / name
        layout.parent.mkdir(exist_ok=True)
        write_image(layout, f"localhost/{name}", layers, SETTINGS, tag="1")
        return layout

    return make
