# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A waiver has a rule that exists, a reason, and an end; root is not locked out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.playing import Played, Player

WAIVER = {"rule": "dccp", "reason": "a test", "expires": "2999-12-31"}
OFF = dict.fromkeys((f"compliance_{subject}" for subject in ("kernel", "network", "modules", "ssh", "files")), False)


def claims(play: Player, tmp_path: Path, *waivers: object, **variables: Any) -> Played:  # noqa: ANN401 - as playbooks do
    path = tmp_path / "waivers.yml"
    path.write_text(json.dumps(waivers))
    task = {"ansible.builtin.include_role": {"name": "constellation.core.compliance", "tasks_from": "claims"}}
    show = {"ansible.builtin.debug": {"msg": "claims {{ compliance_claimed | map(attribute='rule') | join(' ') }} end"}}
    return play([task, show], variables={**OFF, "compliance_waivers": str(path), **variables})


def test_rules_are_switched_by_subject_and_one_by_one(play: Player, tmp_path: Path) -> None:
    played = claims(play, tmp_path, WAIVER, {**WAIVER, "rule": "rds"}, compliance_modules=True)
    assert "claims cramfs freevxfs hfs hfsplus jffs2 tipc sctp end" in played.text


@pytest.mark.parametrize(
    "waiver, said",
    [
        ({**WAIVER, "rule": "nobody"}, "expected rule (one of those"),
        ({**WAIVER, "reason": " "}, "reason"),
        ({"rule": "dccp", "expires": "2999-12-31"}, "expected rule"),
        ({**WAIVER, "expires": "soon"}, "a date as 2027-06-30"),
        ({**WAIVER, "expires": "2020-01-01"}, "the waiver of dccp expired on 2020-01-01"),
        ("dccp", "expected rule"),
    ],
)
def test_a_waiver_that_does_not_hold_is_refused(play: Player, tmp_path: Path, waiver: object, said: str) -> None:
    played = claims(play, tmp_path, waiver)
    assert played.failed == {"localhost": 1}
    assert said in " ".join(played.text.split())


def test_root_is_not_locked_out(play: Player) -> None:
    task = {"ansible.builtin.include_role": {"name": "constellation.core.compliance"}}
    variables = {**OFF, "compliance_ssh": True, "ansible_connection": "ssh", "ansible_user": "root"}
    played = play([task], variables=variables)
    assert "this run came in by SSH as root" in " ".join(played.text.split())
