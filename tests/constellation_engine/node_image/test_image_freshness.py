# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An image is built again when something that goes into it is another, and not otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.container_images.build import BuiltImage
from constellation_engine.errors import ImageBuildError, ImageKeyError
from constellation_engine.node_image import freshness
from constellation_engine.node_image.build import ImageRequest, record_of
from constellation_engine.node_image.freshness import reasons_to_build
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.key_rotation import Stage, go_to
from constellation_engine.node_image.packages import ContainerImage
from constellation_engine.node_image.signing import load_key, load_or_create_key, sign_file
from constellation_engine.node_image.targets import Profile, Target
from constellation_engine.services_image import find_repository
from constellation_engine.testing.node_images import OTHER_KEY, PACKAGES, FakeImage, with_package

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder

MINE = BuiltImage("shop.example/shop:1", None, f"sha256:{'5a' * 32}")  # type: ignore[arg-type] # nobody looks there


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageRequest:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795000000")
    load_or_create_key(tmp_path / "image.key")
    return ImageRequest(
        target=Target.QEMU_VTPM, repository=find_repository(), mirrors={}, key=tmp_path / "image.key", cache=tmp_path
    )


@pytest.fixture
def image(tmp_path: Path, request_: ImageRequest) -> ImageFolder:
    return FakeImage(build=record_of(request_), key=load_key(request_.key)).write(tmp_path / "image")


def test_the_same_request_builds_nothing(image: ImageFolder, request_: ImageRequest) -> None:
    assert reasons_to_build(image.path, request_) == ()


def test_where_there_is_no_image_one_is_built(tmp_path: Path, request_: ImageRequest) -> None:
    assert reasons_to_build(tmp_path / "none", request_) == ("there is no image",)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"target": Target.OPENSTACK_VTPM}, "variant is qemu-vtpm, and should be openstack-vtpm"),
        ({"profile": Profile.DEBUG}, "profile is release, and should be debug"),
        ({"kubernetes": "1.35"}, "kubernetes is 1.36"),
    ],
)
def test_another_request_builds(image: ImageFolder, request_: ImageRequest, changes: dict[str, Any], said: str) -> None:
    assert any(reason.startswith(said) for reason in reasons_to_build(image.path, replace(request_, **changes)))


def test_newer_sources_build(image: ImageFolder, request_: ImageRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795000001")
    assert any("created" in reason for reason in reasons_to_build(image.path, request_))


def test_another_key_or_none_builds(image: ImageFolder, request_: ImageRequest, tmp_path: Path) -> None:
    assert "no key" in reasons_to_build(image.path, replace(request_, key=tmp_path / "none"))[0]
    load_or_create_key(tmp_path / "other.key")
    assert reasons_to_build(image.path, replace(request_, key=tmp_path / "other.key"))


def test_a_new_stage_of_a_rotation_builds(image: ImageFolder, request_: ImageRequest) -> None:
    go_to(request_.key, Stage.INTRODUCED)
    assert "its nodes believe other keys than those of its builder" in reasons_to_build(image.path, request_)


def test_a_signature_of_somebody_else_builds(image: ImageFolder, request_: ImageRequest) -> None:
    sign_file(image.place(ImageFile.MEASUREMENTS), OTHER_KEY)
    assert "image.signature" in reasons_to_build(image.path, request_)[0]


@pytest.mark.parametrize("file", [ImageFile.PACKAGES, ImageFile.MEASUREMENTS, ImageFile.PUBLIC_KEY])
def test_what_is_missing_builds(image: ImageFolder, request_: ImageRequest, file: ImageFile) -> None:
    image.place(file).unlink()
    assert file in reasons_to_build(image.path, request_)[0]


def test_other_packages_than_listed_build(image: ImageFolder, request_: ImageRequest, tmp_path: Path) -> None:
    newer = with_package(PACKAGES, replace(PACKAGES.debian[0], version="9"))
    (tmp_path / "packages.json").write_bytes(newer.to_document())
    wanted = replace(request_, from_manifest=tmp_path / "packages.json")
    assert reasons_to_build(image.path, wanted) == (f"packages are others than in {tmp_path / 'packages.json'}",)


def test_other_container_images_build(tmp_path: Path, request_: ImageRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    containers = (*PACKAGES.containers, ContainerImage("shop.example/shop:1", f"sha256:{'5a' * 32}"))
    image = FakeImage(
        build=record_of(request_), key=load_key(request_.key), packages=replace(PACKAGES, containers=containers)
    ).write(tmp_path / "with")
    assert "missing: shop.example/shop:1" in reasons_to_build(image.path, request_)[0]
    monkeypatch.setattr(freshness, "take_images", lambda *_: (MINE,))
    assert reasons_to_build(image.path, request_) == ()


def test_what_the_user_gave_and_cannot_be_is_told(image: ImageFolder, request_: ImageRequest) -> None:
    with pytest.raises(ImageBuildError, match="there is nothing"):
        reasons_to_build(image.path, replace(request_, containers=["/nowhere.tar"]))
    request_.key.write_bytes(b"no key")
    with pytest.raises(ImageKeyError):
        reasons_to_build(image.path, request_)
