# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Tests that run Ansible see what it did, and nothing of the user's takes part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from tests.collection.playing import Player


def debug(text: str) -> dict[str, Any]:
    return {"ansible.builtin.debug": {"msg": text}}


def test_what_happened_is_counted_by_host(play: Player) -> None:
    failing = {"ansible.builtin.fail": {"msg": "so it is"}, "when": "inventory_hostname == 'two'"}
    played = play([{**debug("hello"), "changed_when": True}, failing], inventory="one,two,")
    assert played.status != 0
    assert played.changed == {"one": 1, "two": 1}
    assert played.failed == {"one": 0, "two": 1}
    assert "so it is" in played.text


def test_configuration_of_the_user_plays_no_part(play: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_CONFIG", "/nowhere")
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "nonsense")
    played = play([debug("{{ word }} {{ ansible_check_mode }}")], check=True, variables={"word": "said"})
    assert "said True" in played.text
