# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Images are found, verified and published, and one that is as it should be is not built again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.node_image import build as engine
from constellation_engine.node_image.build import ImageRequest, record_of
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.signing import load_key, load_or_create_key, public_pem
from constellation_engine.node_image.targets import Target
from constellation_engine.services_image import find_repository
from constellation_engine.testing.node_images import OTHER_KEY, FakeImage
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

MIRRORS = {"mirror": "http://127.0.0.1:1/debian", "security_mirror": "http://127.0.0.1:1/security"}


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageRequest:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    load_or_create_key(tmp_path / "image.key")
    return ImageRequest(target=Target.QEMU_VTPM, repository=find_repository(), mirrors={}, key=tmp_path / "image.key")


@pytest.fixture
def image(tmp_path: Path, request_: ImageRequest) -> ImageFolder:
    return FakeImage(build=record_of(request_), key=load_key(request_.key)).write(tmp_path / "images" / "node")


@pytest.fixture
def options(tmp_path: Path, image: ImageFolder) -> dict[str, Any]:
    return {"path": str(image.path), "key": str(tmp_path / "image.key"), "cache": str(tmp_path / "cache"), **MIRRORS}


def test_an_image_that_is_as_it_should_be_is_not_built(image: ImageFolder, options: dict[str, Any]) -> None:
    answer = run_module("image", **options)
    assert (answer["changed"], answer["reasons"], answer["image"]["path"]) == (False, [], str(image.path))


def test_check_mode_says_why_it_would_be_built(
    image: ImageFolder, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000001")
    before = image.read(ImageFile.DISK)
    answer = run_module("image", check=True, **options)
    assert answer["changed"]
    assert "created is" in answer["reasons"][0] in answer["diff"][0]["before"]
    assert image.read(ImageFile.DISK) == before


def test_one_that_is_another_is_built(
    image: ImageFolder, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build itself has its own tests, and takes minutes: what it is asked for counts here."""
    asked: list[ImageRequest] = []
    monkeypatch.setattr(engine, "build", lambda _path, request, **_: asked.append(request))
    answer = run_module("image", **options, profile="debug", kubernetes="1.36")
    assert answer["changed"]
    assert (asked[0].profile, asked[0].kubernetes, asked[0].key.name) == ("debug", "1.36", "image.key")
    assert image.path.exists()


def test_an_image_is_published_once(tmp_path: Path, image: ImageFolder) -> None:
    given: dict[str, Any] = {
        "image": str(image.path),
        "key": str(tmp_path / "image.key"),
        "publish_to": str(tmp_path / "published"),
        "catalogue": str(tmp_path / "catalogue.json"),
    }
    assert run_module("image", check=True, **given)["changed"]
    assert not (tmp_path / "published").exists()
    place = run_module("image", **given)["place"]
    assert place["location"].startswith(str(tmp_path / "published"))
    assert not run_module("image", **given)["changed"]
    listed = run_module("image_info", catalogue=given["catalogue"], public_key=given["key"])["images"]
    assert [one["reference"] for one in listed] == [place["location"]]


def test_an_image_that_somebody_changed_is_not_published(tmp_path: Path, image: ImageFolder) -> None:
    with image.place(ImageFile.UKI).open("ab") as file:
        file.write(b"more")
    given: dict[str, Any] = {"image": str(image.path), "key": str(tmp_path / "image.key")}
    given["publish_to"] = str(tmp_path / "published")
    answer = run_module("image", **given)
    assert "is not published" in answer["msg"]
    assert answer["verdict"]["mismatches"]
    assert not (tmp_path / "published").exists()


def test_images_are_listed_and_chosen(tmp_path: Path, image: ImageFolder) -> None:
    FakeImage().write(tmp_path / "images" / "older")
    everything = run_module("image_info", folder=str(tmp_path / "images"))["images"]
    assert [one["path"] for one in everything] == [str(image.path), str(tmp_path / "images" / "older")]
    assert run_module("image_info", folder=str(tmp_path / "images"), profile="debug")["images"] == []
    (one,) = run_module("image_info", image=str(image.path))["images"]
    assert one["variant"] == "qemu-vtpm"
    assert "manifest" not in one


def test_a_whole_image_is_verified(tmp_path: Path, image: ImageFolder) -> None:
    key = str(tmp_path / "image.key")
    (good,) = run_module("image_info", image=str(image.path), public_key=key, verify=True)["images"]
    assert good["verdict"]["accepted"]
    assert good["manifest"]["measurements"]
    (tmp_path / "other.pub").write_bytes(public_pem(OTHER_KEY))
    assert "signature" in run_module("image_info", image=str(image.path), public_key=str(tmp_path / "other.pub"))["msg"]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"image": "node"}, "mutually exclusive"),
        ({"target": "toaster"}, "Expected the name of a target, got toaster"),
        ({"profile": "open"}, "profile"),
        ({"kubernetes": "0.9"}, "0.9"),
        ({"container_images": ["/nowhere.tar"]}, "/nowhere.tar"),
        ({"from_manifest": "/nowhere.json"}, "/nowhere.json"),
        ({"repository": "/nowhere"}, "expected a checkout of Constellation"),
        ({"security_mirror": None}, "security_mirror"),
        ({"timeout": 0}, "Option timeout: expected at least one second"),
        ({"catalogue": "x"}, "publish_to"),
        ({"cpus": [2]}, "cpu_models"),
        ({"target": "qemu-snp"}, "firmware and processors"),
        ({"publish_to": "/tmp", "public_key": "/nowhere.pub"}, "/nowhere.pub"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    given = {name: value for name, value in {**options, **changes}.items() if value is not None}
    answer = run_module("image", **given)
    assert answer["failed"]
    assert said in answer["msg"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"image": "/nowhere"}, "/nowhere"),
        ({"image": "x", "folder": "y"}, "mutually exclusive"),
        ({"catalogue": "/nowhere.json"}, "/nowhere.json"),
        ({"verify": True}, "public_key"),
        ({"public_key": "/nowhere.pub"}, "/nowhere.pub"),
        ({"profile": "open"}, "profile"),
        ({"firmware": "/f"}, "cpus"),
    ],
)
def test_what_is_wrong_with_a_question_is_named(arguments: dict[str, Any], said: str) -> None:
    answer = run_module("image_info", **arguments)
    assert answer["failed"]
    assert said in answer["msg"]


def test_no_private_key_is_said(tmp_path: Path, image: ImageFolder) -> None:
    key = str(tmp_path / "image.key")
    said = json.dumps(run_module("image_info", image=str(image.path), public_key=key))
    assert "PRIVATE" not in said
