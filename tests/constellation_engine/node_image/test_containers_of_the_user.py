# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Container images of the user are looked at before a build; one that is repeated wants those of the first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_engine.container_images.build import BuiltImage
from constellation_engine.errors import EngineError, ImageBuildError, NodeImageError
from constellation_engine.node_image.build import ImageRequest, build
from constellation_engine.node_image.packages import ContainerImage
from constellation_engine.node_image.repeat import check_containers
from constellation_engine.node_image.targets import Target
from constellation_engine.testing.node_images import PACKAGES

if TYPE_CHECKING:
    from constellation_engine.components import Progress

ONE, OTHER = f"sha256:{'11' * 32}", f"sha256:{'22' * 32}"
SHOP = "registry.example/shop:1"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The list of an image with one container image of the user, and our own."""
    ours = [("localhost/constellation-services", OTHER), ("registry.k8s.io/pause:3.10", OTHER)]
    containers = tuple(ContainerImage(name, digest) for name, digest in [*ours, (SHOP, ONE)])
    (tmp_path / "packages.json").write_bytes(replace(PACKAGES, containers=containers).to_document())
    return tmp_path / "packages.json"


def test_the_same_images_are_accepted(manifest: Path) -> None:
    check_containers(manifest, [BuiltImage(SHOP, Path("shop"), ONE)])


@pytest.mark.parametrize(
    "given, reason",
    [
        ([], f"missing: {SHOP} {ONE}"),
        ([BuiltImage(SHOP, Path("shop"), OTHER)], f"missing: {SHOP} {ONE}; not wanted: {SHOP} {OTHER}"),
        ([BuiltImage(SHOP, Path("shop"), ONE, ("a.b/c:1",))], f"not wanted: a.b/c:1 {ONE}"),
    ],
    ids=["missing", "another", "one too many"],
)
def test_other_images_are_named(manifest: Path, given: list[BuiltImage], reason: str) -> None:
    with pytest.raises(NodeImageError, match=reason):
        check_containers(manifest, given)


@pytest.fixture
def image_request(tmp_path: Path, repository: Path) -> ImageRequest:
    """A build that could begin."""
    return ImageRequest(
        target=Target.named("qemu-vtpm"),
        repository=repository,
        mirrors={},
        key=tmp_path / "image.key",
        cache=tmp_path / "cache",
    )


def refusal(tmp_path: Path, request: ImageRequest) -> EngineError:
    """Try to build; see that nothing was begun."""
    said: list[Progress] = []
    with pytest.raises(EngineError) as caught:
        build(tmp_path / "image", request, report=said.append)
    assert said == []
    assert not request.key.exists()
    assert list(request.cache.iterdir()) == []
    return caught.value


def test_a_wrong_container_image_is_refused_before_anything_is_built(
    tmp_path: Path, image_request: ImageRequest
) -> None:
    (tmp_path / "shop.tar").write_text("no archive")
    error = refusal(tmp_path, replace(image_request, containers=[f"{SHOP}={tmp_path / 'shop.tar'}"]))
    assert isinstance(error, ImageBuildError)
    assert "shop.tar: expected a tar archive with an OCI image layout" in str(error)


def test_a_repetition_without_its_container_images_is_refused(
    tmp_path: Path, image_request: ImageRequest, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)  # of programs that are not asked for here
    error = refusal(tmp_path, replace(image_request, from_manifest=manifest))
    assert (type(error), error.hint) == (NodeImageError, "give the same ones: --container-image FILE")
