# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The same sources and packages give the same image; other packages than those of a list are not taken."""

from __future__ import annotations

import json
import os
from filecmp import cmp
from typing import TYPE_CHECKING

import pytest

from constellation_engine.components.cache import default_root
from constellation_engine.debian.mirror import machine_mirrors
from constellation_engine.errors import NodeImageError
from constellation_engine.node_image.build import ImageRequest, build
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.packages import PackageManifest
from constellation_engine.node_image.targets import Target
from tests.node_image.built_images import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4800)]
COMPARED = (
    ImageFile.DISK,
    ImageFile.UKI,
    ImageFile.MEASUREMENTS,
    ImageFile.SIGNATURE,
    ImageFile.PACKAGES,
    ImageFile.SBOM,
)


def request(repository: Path, cache: Path, *, manifest: Path | None = None) -> ImageRequest:
    return ImageRequest(
        target=Target.QEMU_VTPM,
        repository=repository,
        mirrors=machine_mirrors(),
        key=KEY,
        cache=cache,
        from_manifest=manifest,
    )


def share_packages(cache: Path) -> None:
    """Give a new cache the packages that were downloaded before, and nothing that was made of them."""
    known = default_root().with_name("node-image") / "packages"
    for file in known.rglob("*.deb"):
        place = cache / "packages" / file.relative_to(known)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, place) if file.stat().st_dev == cache.stat().st_dev else place.write_bytes(file.read_bytes())


def test_an_image_is_built_again_from_the_list_of_its_packages_bit_by_bit(
    release_image: ImageFolder, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another folder, no trees of earlier builds, and no mirror: only the packages that the list names."""
    share_packages(tmp_path)
    listed = release_image.place(ImageFile.PACKAGES)
    built = PackageManifest.from_document(listed.read_bytes()).source_date  # commits that change no source came since
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(built.timestamp())))
    again = build(tmp_path / "again", request(repository, tmp_path, manifest=listed), report=lambda _: None)
    different = [file for file in COMPARED if not cmp(release_image.place(file), again.place(file), shallow=False)]
    assert different == []


def test_packages_that_are_no_longer_to_be_had_are_named(
    release_image: ImageFolder, repository: Path, tmp_path: Path
) -> None:
    record = json.loads(release_image.read(ImageFile.PACKAGES))
    record["debian"][0]["version"] += "~gone"
    record["debian"][0]["sha256"] = "00" * 32
    listed = tmp_path / "packages.json"
    listed.write_text(json.dumps(record))
    share_packages(tmp_path)
    with pytest.raises(NodeImageError, match=f"{record['debian'][0]['name']} .*~gone"):
        build(tmp_path / "again", request(repository, tmp_path, manifest=listed), report=lambda _: None)
    assert not (tmp_path / "again").exists()
