# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""One key takes another's place in three steps, and images that are in use together believe one another."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from attestation.errors import NotGenuineError
from constellation_core.errors import SecretFileError
from constellation_core.image_manifest import SignedManifest, sign
from constellation_engine.errors import ImageKeyError
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.key_rotation import Stage, check_step, go_to, stage_of
from constellation_engine.node_image.signing import (
    fingerprints,
    joined_keys,
    load_key,
    load_or_create_key,
    next_place,
    previous_place,
    public_pem,
    read_public_key,
    sign_image,
    trusted_keys,
)
from constellation_engine.node_image.verification import verify_image
from constellation_engine.testing.node_images import KEY, OTHER_KEY, FakeImage

if TYPE_CHECKING:
    from pathlib import Path

WAY = (Stage.INTRODUCED, Stage.SWITCHED, Stage.STEADY)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "image.key"
    load_or_create_key(path)
    return path


def built(key: Path) -> tuple[SignedManifest, bytes]:
    """What an image that is built now shows others, and whom it believes."""
    return sign(FakeImage().manifest().to_document(), load_key(key)), trusted_keys(key)


def test_neighbours_believe_one_another(key: Path) -> None:
    images = [built(key)]
    for stage in WAY:
        assert go_to(key, stage)
        images.append(built(key))
    for one, other in pairwise(images):
        one[0].verify(other[1])
        other[0].verify(one[1])


def test_in_the_end_the_old_key_is_believed_by_nobody(key: Path) -> None:
    old = built(key)
    for stage in WAY:
        go_to(key, stage)
    new = built(key)
    assert len(fingerprints(new[1])) == 1
    for one, other in ((old, new), (new, old)):
        with pytest.raises(NotGenuineError):
            one[0].verify(other[1])


def test_a_stage_that_is_reached_is_no_step(key: Path) -> None:
    for stage in WAY:
        go_to(key, stage)
        before = {path.name: path.read_bytes() for path in key.parent.iterdir()}
        assert not go_to(key, stage)
        assert {path.name: path.read_bytes() for path in key.parent.iterdir()} == before


@pytest.mark.parametrize("reached, wanted", [(0, Stage.SWITCHED), (1, Stage.STEADY), (2, Stage.INTRODUCED)])
def test_no_stage_is_skipped(key: Path, reached: int, wanted: Stage) -> None:
    for stage in WAY[:reached]:
        go_to(key, stage)
    with pytest.raises(ImageKeyError, match=f"after {stage_of(key)}, asked for {wanted}"):
        go_to(key, wanted)
    assert stage_of(key) is (Stage.STEADY, *WAY)[reached]


def test_looking_ahead_changes_nothing(key: Path) -> None:
    check_step(key, Stage.INTRODUCED)
    assert [path.name for path in key.parent.iterdir()] == ["image.key"]


def test_every_key_is_ours_alone(key: Path) -> None:
    for stage in WAY[:2]:
        go_to(key, stage)
        assert {path.stat().st_mode & 0o777 for path in key.parent.iterdir()} == {0o600}


def test_an_interrupted_switch_is_done_again(key: Path) -> None:
    go_to(key, Stage.INTRODUCED)
    successor = public_pem(load_key(next_place(key)))
    os.link(key, previous_place(key))  # killed here
    assert stage_of(key) is Stage.INTRODUCED
    assert go_to(key, Stage.SWITCHED)
    assert public_pem(load_key(key)) == successor
    assert len(fingerprints(trusted_keys(key))) == 2


def test_a_damaged_successor_does_not_sign(key: Path) -> None:
    go_to(key, Stage.INTRODUCED)
    next_place(key).write_bytes(b"no key")
    with pytest.raises(ImageKeyError, match="expected an ECDSA P-256 key"):
        go_to(key, Stage.SWITCHED)


def test_there_is_nothing_to_introduce_where_there_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="cannot read"):
        go_to(tmp_path / "image.key", Stage.INTRODUCED)
    assert not list(tmp_path.iterdir())


def test_a_private_key_names_all_whom_its_owner_believes(key: Path) -> None:
    go_to(key, Stage.INTRODUCED)
    assert read_public_key(key) == trusted_keys(key)


def test_images_of_neighbouring_stages_go_together(key: Path) -> None:
    believed = [trusted_keys(key)]
    for stage in WAY:
        go_to(key, stage)
        believed.append(trusted_keys(key))
    assert joined_keys([]) == b""
    assert [len(fingerprints(joined_keys(pair))) for pair in pairwise(believed)] == [2, 2, 2]
    with pytest.raises(ImageKeyError, match="several builders"):
        joined_keys([believed[0], believed[-1]])


def test_an_image_with_two_keys_is_verified_by_both_and_signed_by_either(tmp_path: Path) -> None:
    image = FakeImage().write(tmp_path / "image")
    both = public_pem(KEY) + public_pem(OTHER_KEY)
    image.place(ImageFile.PUBLIC_KEY).write_bytes(both)
    assert verify_image(image, both).is_accepted
    (mismatch,) = verify_image(image, public_pem(KEY)).mismatches
    assert (mismatch.name, mismatch.got) == ("image.pub", fingerprints(public_pem(OTHER_KEY))[0])
    sign_image(image, OTHER_KEY)
    image.read_signed().verify(public_pem(OTHER_KEY))
