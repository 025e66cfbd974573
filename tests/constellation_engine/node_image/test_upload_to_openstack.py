# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An image gets into a cloud whole, once, with what the cloud must know of it; or not at all."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import openstack
import pytest

from attestation.errors import MissingExtraError
from attestation.variant import Variant
from constellation_engine.errors import NodeImageError, UploadError
from constellation_engine.node_image.catalogue import PlaceKind
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.upload import openstack as openstack_upload
from constellation_engine.node_image.upload.openstack import PROPERTIES, OpenStackUploader
from constellation_engine.node_image.upload.uploader import say_nothing
from constellation_engine.testing.image_service import ImageService, running
from constellation_engine.testing.node_images import BUILD, FakeImage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder

# The SDK warns of what it will drop itself, whatever it is used for.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

CLOUD_BUILD = replace(BUILD, variant=Variant.OPENSTACK_VTPM, target="openstack-vtpm")


@pytest.fixture
def service() -> Iterator[ImageService]:
    """A cloud's image service."""
    with running() as one:
        yield one


@pytest.fixture
def cloud_image(tmp_path: Path) -> ImageFolder:
    """An image for a cloud."""
    return FakeImage(build=CLOUD_BUILD).write(tmp_path / "image")


def uploader(url: str, *, hidden: bool = False) -> OpenStackUploader:
    """An uploader for a service that asks nobody who they are."""
    return OpenStackUploader(hidden=hidden, connect=lambda _cloud: openstack.connect(auth_type="none", endpoint=url))


def test_an_image_arrives_with_its_properties(service: ImageService, cloud_image: ImageFolder) -> None:
    told: list[tuple[str, int, int]] = []
    place = uploader(service.url).upload(cloud_image, report=lambda *words: told.append(words))
    disk = cloud_image.read(ImageFile.DISK)
    stored = service.images[place.location]
    assert (place.kind, place.size, place.sha256) == (PlaceKind.OPENSTACK, len(disk), hashlib.sha256(disk).hexdigest())
    assert stored["os_hash_value"] == hashlib.sha512(disk).hexdigest()
    assert stored.items() >= PROPERTIES.items()
    assert (stored["name"], stored["visibility"], stored["min_disk"], stored["os_hidden"]) == (
        "constellation-node-0.1.0-openstack-vtpm-release",
        "private",
        1,
        False,
    )
    assert stored["constellation_sha256"] == place.sha256
    assert told[-1] == ("sending", len(disk), len(disk))


def test_an_image_that_is_there_is_not_sent_again(service: ImageService, cloud_image: ImageFolder) -> None:
    first = uploader(service.url, hidden=True).upload(cloud_image, report=say_nothing)
    assert uploader(service.url, hidden=True).upload(cloud_image, report=say_nothing) == first
    assert (service.uploads, len(service.images)) == (1, 1)
    assert service.images[first.location]["os_hidden"] is True


@pytest.mark.parametrize(
    "fault", [{"status": "queued"}, {"os_hash_value": "00"}, {"constellation_sha256": "00"}, {"name": "another"}]
)
def test_one_that_only_looks_like_it_does_not_count(
    service: ImageService, cloud_image: ImageFolder, fault: dict[str, str]
) -> None:
    first = uploader(service.url).upload(cloud_image, report=say_nothing)
    service.images[first.location] |= fault
    assert uploader(service.url).upload(cloud_image, report=say_nothing).location != first.location


@pytest.mark.parametrize(
    "fault, words",
    [
        ({"refuses": HTTPStatus.FORBIDDEN}, "creating the image: expected status 201, got 403: .*no more images"),
        ({"refuses_bytes": HTTPStatus.REQUEST_ENTITY_TOO_LARGE}, "sending the image: expected status 200, got 413"),
        ({"breaks_off": True}, "cloud of OS_"),
        ({"changes_bytes": True}, "expected the cloud to store"),
        ({"ends_in": "killed"}, "the cloud says it is killed"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_what_did_not_arrive_is_removed(
    service: ImageService, cloud_image: ImageFolder, fault: dict[str, object], words: str
) -> None:
    for name, value in fault.items():
        setattr(service, name, value)
    with pytest.raises(UploadError, match=words):
        uploader(service.url).upload(cloud_image, report=say_nothing)
    assert service.images == {}


def test_half_an_image_that_cannot_be_removed_is_named(service: ImageService, cloud_image: ImageFolder) -> None:
    service.changes_bytes = service.keeps_images = True
    with pytest.raises(UploadError, match="half an image is left") as caught:
        uploader(service.url).upload(cloud_image, report=say_nothing)
    (identifier,) = service.images
    assert caught.value.hint.endswith(f"openstack image delete {identifier}")


def test_a_cloud_that_never_has_done_is_given_up(
    service: ImageService, cloud_image: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openstack_upload, "SETTLING", 0.05)
    monkeypatch.setattr(openstack_upload, "INTERVAL", 0.01)
    service.ends_in = "saving"
    with pytest.raises(UploadError, match=r"gave up after 0\.05 s"):
        uploader(service.url).upload(cloud_image, report=say_nothing)
    assert service.images == {}


def test_an_interruption_leaves_nothing(service: ImageService, cloud_image: ImageFolder) -> None:
    def interrupt(what: str, _done: int, _total: int) -> None:
        if what == "sending":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        uploader(service.url).upload(cloud_image, report=interrupt)
    assert service.images == {}


def test_a_cloud_that_is_not_there_is_told(cloud_image: ImageFolder) -> None:
    with pytest.raises(UploadError, match="cloud of OS_"):
        uploader("http://127.0.0.1:1").upload(cloud_image, report=say_nothing)


def test_an_unknown_cloud_is_told(cloud_image: ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with pytest.raises(UploadError, match="cloud nimbus: Cloud nimbus was not found"):
        OpenStackUploader("nimbus").upload(cloud_image, report=say_nothing)


def test_an_image_for_something_else_is_refused(service: ImageService, image: ImageFolder) -> None:
    with pytest.raises(UploadError, match="expected an image for openstack-vtpm, constellation-node"):
        uploader(service.url).upload(image, report=say_nothing)


def test_an_image_without_disk_is_refused(service: ImageService, cloud_image: ImageFolder) -> None:
    cloud_image.place(ImageFile.DISK).unlink()
    with pytest.raises(NodeImageError, match=r"expected node\.raw, is not there"):
        uploader(service.url).upload(cloud_image, report=say_nothing)


def test_the_missing_extra_is_named(cloud_image: ImageFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openstack", None)
    with pytest.raises(MissingExtraError, match="openstacksdk"):
        OpenStackUploader().upload(cloud_image, report=say_nothing)
