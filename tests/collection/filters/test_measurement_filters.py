# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Filters give what a playbook needs of measurements, or one sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.constellation.core.plugins.filter.measurements_merge import measurements_merge
from ansible_collections.constellation.core.plugins.filter.measurements_of import measurements_of
from ansible_collections.constellation.core.plugins.filter.to_policy import to_policy
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.testing.node_images import FakeImage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.playing import Player

ONE, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FakeImage().write(tmp_path / "image").read(ImageFile.MEASUREMENTS))
    return found


def test_a_policy_is_made_of_an_image_and_the_rest(manifest: dict[str, Any]) -> None:
    policy = to_policy(manifest, {"require_event_log": True})
    assert policy["variant"] == manifest["variant"]
    assert policy["measurements"] == measurements_of(manifest)
    assert policy["require_event_log"] is True


def test_registers_of_image_and_firmware_are_put_together(manifest: dict[str, Any]) -> None:
    both = measurements_merge(manifest, {"0": ONE})
    assert both == {**measurements_of(manifest), "0": {"expected": ONE, "enforced": True}}


def test_what_contradicts_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^measurements_merge: Register 4 .* No machine is both"):
        measurements_merge({"4": ONE}, {"4": OTHER})


def test_what_the_image_says_already_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="to_policy: "):
        to_policy(manifest, {"measurements": manifest["measurements"]})


def test_playbooks_know_the_filters(play: Player) -> None:
    expression = "{{ ({'4': one} | constellation.core.measurements_merge({'9': one})).keys() | sort | join('+') }}"
    played = play([{"ansible.builtin.debug": {"msg": expression}}], variables={"one": ONE})
    assert "4+9" in played.text
