# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bring an image into an OpenStack cloud, through its image service (Glance, API v2).

Which cloud, and as whom, is said by `clouds.yaml` or `OS_*` variables, as for every OpenStack tool. Properties tell the
cloud how machines start: UEFI without Secure Boot (register 4 depends on it), a TPM 2.0, virtio. The cloud says a hash
of what it stored; it must be ours.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attestation.errors import MissingExtraError
from attestation.variant import Variant
from constellation_engine.errors import UploadError
from constellation_engine.node_image.catalogue import Place, PlaceKind
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.upload.uploader import digests_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from openstack.connection import Connection

    from constellation_engine.node_image.build_record import BuildRecord
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.upload.uploader import Report

PROPERTIES: Final = {
    "hw_firmware_type": "uefi",
    "hw_machine_type": "q35",
    "hw_tpm_version": "2.0",
    "hw_tpm_model": "tpm-crb",
    "hw_disk_bus": "virtio",
    "hw_vif_model": "virtio",
    "hw_qemu_guest_agent": "no",
    "os_secure_boot": "disabled",
    "os_type": "linux",
    "os_distro": "debian",
}
SHA256_PROPERTY: Final = "constellation_sha256"
SETTLING: Final = 300.0  # seconds that the cloud may take from the last byte until the image can be used
INTERVAL: Final = 1.0  # seconds between two looks at that
_GIB: Final = 1 << 30
_CREATED: Final = 201
_WHO: Final = "see clouds.yaml, and the variables OS_*: is it the right cloud, and may you create images?"


class Digests(NamedTuple):
    """What tells whether two disks are the same.

    Attributes:
        size: bytes.
        sha256: hexadecimal.
        sha512: hexadecimal: what clouds compute by default.
    """

    size: int
    sha256: str
    sha512: str


class OpenStackUploader:
    """Creates images in one cloud.

    Args:
        cloud: its name in `clouds.yaml`; None: what the variables `OS_*` say.
        hidden: leave it out of lists of images; whoever knows its ID can use it.
        connect: makes the connection; for tests.
    """

    def __init__(
        self,
        cloud: str | None = None,
        *,
        hidden: bool = False,
        connect: Callable[[str | None], Connection] | None = None,
    ) -> None:
        self._cloud = cloud
        self._hidden = hidden
        self._connect = connect or _connect

    def upload(self, image: ImageFolder, *, report: Report) -> Place:
        """Create the image in the cloud, private to the project; see `Uploader`.

        Raises:
            MissingExtraError: openstacksdk is not installed.
        """
        build = image.read_build()
        if build.variant is not Variant.OPENSTACK_VTPM:
            raise UploadError(
                f"expected an image for {Variant.OPENSTACK_VTPM}, {build.title} is one for {build.variant}",
                hint="build the image for the target openstack",
            )
        disk = image.require(ImageFile.DISK)
        measured = hashlib.sha256(image.read_signed().document).hexdigest()
        digests = Digests(disk.stat().st_size, **digests_of(disk, report, "sha256", "sha512"))
        try:
            connection = self._connect(self._cloud)
            found = _find(connection, build, digests)
            if found is None:
                found = self._create(connection, self._record(build, measured, digests), disk, digests, report)
        except _errors() as error:
            raise UploadError(f"{self._name}: {_sentence(error)}", hint=_WHO) from None
        return Place(PlaceKind.OPENSTACK, found, digests.sha256, digests.size)

    @property
    def _name(self) -> str:
        return f"cloud {self._cloud}" if self._cloud else "cloud of OS_*"

    def _record(self, build: BuildRecord, measured: str, digests: Digests) -> dict[str, Any]:
        """Give what the cloud gets to know of an image."""
        return {
            "name": _image_name(build),
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": "private",
            "os_hidden": self._hidden,
            "min_disk": -(-digests.size // _GIB),
            "os_version": build.version,
            **PROPERTIES,
            SHA256_PROPERTY: digests.sha256,
            "constellation_measurements_sha256": measured,
            "constellation_profile": build.profile,
            "constellation_kubernetes": build.kubernetes,
        }

    def _create(
        self, connection: Connection, record: dict[str, Any], disk: Path, digests: Digests, report: Report
    ) -> str:
        created: Any = connection.image.post("/images", json=record)
        _check(created, "creating the image", _CREATED)
        identifier: str = created.json()["id"]
        try:
            with _Measured(disk, digests.size, report) as data:
                resource = connection.image.get_image(identifier)
                _check(resource.upload(connection.image, data=data, size=digests.size), "sending the image")
            _check_stored(_settled(connection, identifier), digests)
        except BaseException as error:  # an interruption by the user, too, must not leave half an image
            _remove(connection, identifier, error)
            raise
        return identifier


def _connect(cloud: str | None) -> Connection:
    try:
        import openstack  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError("openstacksdk", "openstack") from None
    return openstack.connect(cloud=cloud)


def _errors() -> tuple[type[Exception], ...]:
    """What the SDK raises when a cloud cannot be reached, or does not want what we want."""
    try:
        from keystoneauth1.exceptions import ClientException  # noqa: PLC0415 - an extra
        from openstack.exceptions import SDKException  # noqa: PLC0415 - the same
        from requests.exceptions import RequestException  # noqa: PLC0415 - the same
    except ImportError:
        return (OSError,)
    return (ClientException, SDKException, RequestException, OSError)


def _image_name(build: BuildRecord) -> str:
    return f"{build.name}-{build.version}-{build.target}-{build.profile}"


def _find(connection: Connection, build: BuildRecord, digests: Digests) -> str | None:
    """Give the ID of an image that has the same name and bytes, hidden or not."""
    for is_hidden in (False, True):
        for image in connection.image.images(name=_image_name(build), is_hidden=is_hidden):
            properties = image.properties or {}
            is_same = properties.get(SHA256_PROPERTY) == digests.sha256 and image.hash_value == digests.sha512
            if image.status == "active" and is_same:
                identifier: str = image.id
                return identifier
    return None


def _remove(connection: Connection, identifier: str, reason: BaseException) -> None:
    try:
        connection.image.delete_image(identifier, ignore_missing=True)
    except _errors() as error:
        raise UploadError(
            f"{_sentence(reason)}; and half an image is left, which cannot be removed: {_sentence(error)}",
            hint=f"remove it when the cloud answers again: openstack image delete {identifier}",
        ) from None


def _settled(connection: Connection, identifier: str) -> Any:  # noqa: ANN401 - of one of two APIs
    """Wait until the cloud has stored what it got."""
    end = time.monotonic() + SETTLING
    while (image := connection.image.get_image(identifier)).status in ("queued", "saving", "importing"):
        if time.monotonic() > end:
            raise UploadError(f"gave up after {SETTLING:g} s waiting until the cloud stored the image {identifier}")
        time.sleep(INTERVAL)
    return image


def _check_stored(image: Any, digests: Digests) -> None:  # noqa: ANN401 - the same
    if image.status != "active":
        raise UploadError(f"expected the image to become active, the cloud says it is {image.status}")
    expected = {"sha512": digests.sha512, "sha256": digests.sha256}.get(image.hash_algo or "")
    if image.size != digests.size or expected is None or image.hash_value != expected:
        raise UploadError(
            f"expected the cloud to store {digests.size} bytes with SHA-512 {digests.sha512[:16]}…, "
            f"it has {image.size} with {image.hash_algo} {str(image.hash_value)[:16]}…",
            hint="try again; if it happens again, the network or the cloud changes bytes",
        )


def _check(answer: Any, what: str, *statuses: int) -> None:  # noqa: ANN401 - a response of requests
    wanted = statuses or (200, 201, 202, 204)
    if answer.status_code not in wanted:
        text = " ".join(answer.text.split())[:200]
        raise UploadError(f"{what}: expected status {wanted[0]}, got {answer.status_code}: {text}", hint=_WHO)


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


class _Measured:
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, size: int, report: Report) -> None:
        self._file = path.open("rb")
        self._size = size
        self._report = report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._size

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        self._report("sending", self._file.tell(), self._size)
        return data
