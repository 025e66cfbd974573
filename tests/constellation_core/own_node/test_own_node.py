# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A device that failed is opened again; the manifest of the own image is read, or there is none."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError, MalformedError
from attestation.insecure import InsecureIssuer
from attestation.variant import Variant
from constellation_core.errors import ConfigError
from constellation_core.image_manifest import MAX_SIZE
from constellation_core.own_node import NOT_ASKED_YET, NodeIssuer, own_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attestation.evidence import Evidence
    from attestation.issuer import Issuer


class Device:
    """A device that works, or not."""

    variant = Variant.INSECURE

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.opened = self.closed = 0

    @contextmanager
    def opening(self) -> Iterator[Issuer]:
        self.opened += 1
        yield self
        self.closed += 1

    def issue(self, binding: bytes) -> Evidence:
        if self.failure is not None:
            raise self.failure
        return InsecureIssuer().issue(binding)


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def issuer(device: Device) -> NodeIssuer:
    return NodeIssuer(Variant.INSECURE, device.opening)


def test_a_device_is_opened_once(device: Device, issuer: NodeIssuer) -> None:
    assert issuer.trouble() == NOT_ASKED_YET
    assert issuer.issue(bytes(32)) == issuer.issue(bytes(32))
    assert (device.opened, device.closed, issuer.trouble()) == (1, 0, None)
    issuer.close()
    assert device.closed == 1


@pytest.mark.parametrize("failure", [DeviceError("it timed out"), OSError("it is gone")])
def test_a_device_that_failed_is_opened_again(device: Device, issuer: NodeIssuer, failure: Exception) -> None:
    issuer.issue(bytes(32))
    device.failure = failure
    with pytest.raises(type(failure)):
        issuer.issue(bytes(32))
    assert (device.closed, issuer.trouble()) == (1, str(failure))
    device.failure = None
    issuer.issue(bytes(32))
    assert (device.opened, issuer.trouble()) == (2, None)


def test_what_it_took_is_told(device: Device) -> None:
    times: list[float] = []
    NodeIssuer(Variant.INSECURE, device.opening, times.append).issue(bytes(32))
    assert len(times) == 1


def test_an_image_may_have_no_manifest(tmp_path: Path) -> None:
    assert own_image(tmp_path / "nowhere") is None


def test_a_manifest_is_read_with_its_signature(tmp_path: Path) -> None:
    (tmp_path / "measurements.json").write_bytes(b"document")
    (tmp_path / "measurements.json.sig").write_bytes(base64.b64encode(b"signature"))
    image = own_image(tmp_path)
    assert image is not None
    assert (image.document, image.signature) == (b"document", b"signature")


def test_a_manifest_without_a_signature_is_not_left_out_in_silence(tmp_path: Path) -> None:
    (tmp_path / "measurements.json").write_bytes(b"document")
    with pytest.raises(ConfigError, match=r"measurements\.json\.sig is missing"):
        own_image(tmp_path)


def test_a_manifest_has_a_size(tmp_path: Path) -> None:
    (tmp_path / "measurements.json").write_bytes(bytes(MAX_SIZE + 1))
    with pytest.raises(ConfigError, match="at most"):
        own_image(tmp_path)


def test_a_signature_is_base64(tmp_path: Path) -> None:
    (tmp_path / "measurements.json").write_bytes(b"document")
    (tmp_path / "measurements.json.sig").write_bytes(b"\xff\xff")
    with pytest.raises(MalformedError, match="base64"):
        own_image(tmp_path)


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "measurements.json").mkdir()
    with pytest.raises(ConfigError, match="cannot read"):
        own_image(tmp_path)
