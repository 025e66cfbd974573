# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The role image signs and publishes what is there, and builds nothing where a build would make the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from attestation.policy import Policy
from constellation_engine.node_image.build import ImageRequest, record_of
from constellation_engine.node_image.image_folder import ImageFolder
from constellation_engine.node_image.signing import load_key, load_or_create_key
from constellation_engine.node_image.targets import Target
from constellation_engine.services_image import find_repository
from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.playing import Player


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    key = tmp_path / "image.key"
    load_or_create_key(key)
    request = ImageRequest(target=Target.QEMU_VTPM, repository=find_repository(), mirrors={}, key=key)
    FakeImage(build=record_of(request), key=load_key(key)).write(tmp_path / "node")
    return {
        "image_path": str(tmp_path / "node"),
        "image_key": str(key),
        "image_mirror": "http://127.0.0.1:1/debian",
        "image_security_mirror": "http://127.0.0.1:1/security",
        "image_policy": str(tmp_path / "policy.json"),
        "image_publish_to": str(tmp_path / "published"),
        "image_catalogue": str(tmp_path / "catalogue.json"),
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_second_run_changes_nothing_and_check_mode_predicts(
    play: Player, tmp_path: Path, options: dict[str, Any]
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    predicted = play("constellation.core.image", check=True, diff=True, variables=options, timeout=300)
    assert predicted.status == 0, predicted.text
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    first = play("constellation.core.image", variables=options, timeout=300)
    assert first.status == 0, first.text
    assert first.changed == predicted.changed == {"localhost": 2}  # the policy, and what was published
    assert play("constellation.core.image", variables=options, timeout=300).changed == {"localhost": 0}
    kept = Policy.from_mapping(json.loads((tmp_path / "policy.json").read_text()))
    assert kept == ImageFolder(tmp_path / "node").policy()
    assert "PRIVATE" not in first.text
