# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The list of published images."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError, NotGenuineError
from attestation.variant import Variant
from constellation_core.image_manifest import sign
from constellation_engine.errors import UnknownImageError
from constellation_engine.node_image.catalogue import Catalogue, Place, PlaceKind
from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.node_images import BUILD, KEY, OTHER_KEY, FakeImage

SIGNED = sign(FakeImage().manifest().to_document(), KEY)
PLACE = Place(PlaceKind.FILE, "https://images.invalid/node.raw", "ab" * 32, 12345)
CLOUD = Place(PlaceKind.OPENSTACK, "6f1d0a6e-0000-4000-8000-000000000000", "ab" * 32, 12345)
OLD = replace(BUILD, version="0.0.9", created=BUILD.created - timedelta(days=1))
DEBUG = replace(BUILD, profile="debug")
CATALOGUE = (
    Catalogue(()).with_place(OLD, SIGNED, PLACE).with_place(BUILD, SIGNED, PLACE).with_place(DEBUG, SIGNED, CLOUD)
)
DOCUMENT = CATALOGUE.to_document()


def changed(**fields: object) -> bytes:
    record = json.loads(DOCUMENT)
    record["images"][0] |= fields
    return json.dumps(record).encode()


def test_it_is_read_back() -> None:
    assert Catalogue.from_document(DOCUMENT) == CATALOGUE


def test_the_newest_that_fits_is_found() -> None:
    assert CATALOGUE.find(name="constellation-node", profile="release").build == BUILD


def test_a_version_is_found() -> None:
    assert CATALOGUE.find(version="0.0.9", variant=Variant.QEMU_VTPM).build == OLD


def test_several_that_fit_are_named() -> None:
    with pytest.raises(UnknownImageError, match=r"expected one image .*\(qemu-vtpm, release\), .*\(qemu-vtpm, debug\)"):
        CATALOGUE.find(version="0.1.0")


def test_none_that_fits_is_told_with_all_there_are() -> None:
    with pytest.raises(UnknownImageError, match=r"with variant qemu-snp, the list has constellation-node 0\.0\.9"):
        CATALOGUE.find(variant=Variant.QEMU_SNP)


def test_an_image_of_the_list_is_what_was_signed() -> None:
    image = CATALOGUE.find(profile="debug")
    assert image.verify(public_pem(KEY)) == FakeImage().manifest()
    with pytest.raises(NotGenuineError):
        image.verify(public_pem(OTHER_KEY))


def test_a_list_that_says_another_platform_is_not_believed() -> None:
    build = replace(BUILD, variant=Variant.OPENSTACK_VTPM)
    image = Catalogue(()).with_place(build, SIGNED, PLACE).images[0]
    with pytest.raises(NotGenuineError, match=r"image\.variant: expected openstack-vtpm, got qemu-vtpm"):
        image.verify(public_pem(KEY))


def test_a_place_is_added_once() -> None:
    twice = CATALOGUE.with_place(BUILD, SIGNED, CLOUD).with_place(BUILD, SIGNED, PLACE)
    assert twice.find(profile="release").places == (CLOUD, PLACE)


def test_another_image_of_that_version_replaces_all_places() -> None:
    other = sign(FakeImage(root=b"another").manifest().to_document(), KEY)
    assert CATALOGUE.with_place(DEBUG, other, PLACE).find(profile="debug").places == (PLACE,)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"build": {}}, "build record lacks version"),
        ({"measurements": 1}, "measurements: expected the text"),
        ({"signature": "!"}, "signature: expected base64"),
        ({"places": [{}]}, "place of an image lacks kind"),
        ({"places": [{**PLACE.to_record(), "kind": "floppy"}]}, "kind: expected file or openstack"),
        ({"places": [{**PLACE.to_record(), "location": "a b"}]}, "location: expected a path"),
        ({"places": [{**PLACE.to_record(), "size": -1}]}, "size: expected a number"),
        ({"build": BUILD.to_record()}, "constellation-node 0.1.0 for qemu-vtpm is there twice"),
        ({"surprise": 1}, "unknown field 'surprise'"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        Catalogue.from_document(changed(**fields))


def test_another_version_is_refused() -> None:
    with pytest.raises(MalformedError, match="version: expected 1, got 2"):
        Catalogue.from_document(b'{"version": 2, "images": []}')


@given(st.binary(max_size=200) | st.integers(0, len(DOCUMENT)).map(lambda size: DOCUMENT[:size]))
def test_any_bytes_are_a_list_or_refused(document: bytes) -> None:
    with suppress(MalformedError):
        Catalogue.from_document(document)
