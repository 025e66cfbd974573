# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The role `compliance` on a real host: it does what it claims, and lynis, which is not ours, finds it so."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.collection.hosts.bed import Host, NoBedError, booted, require, write_inventory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.collection.playing import Played, Player

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHARED_KERNEL = {"compliance_kernel": False}  # the hosts are containers, and those settings are this machine's
NETWORK = "/etc/sysctl.d/90-constellation-network.conf"
SSH = "/etc/ssh/sshd_config.d/00-constellation.conf"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    try:
        require()
        with booted("machine", tmp_path) as running:
            yield running
    except NoBedError as error:
        pytest.skip(str(error))


def role(play: Player, host: Host, part: str = "main", *, check: bool = False, **variables: Any) -> Played:  # noqa: ANN401
    task = {"ansible.builtin.include_role": {"name": "constellation.core.compliance", "tasks_from": part}}
    inventory = write_inventory([host], host.share / "inventory.json", "machines")
    return play([task], inventory=inventory, check=check, variables={**SHARED_KERNEL, **variables}, timeout=300)


def waive(folder: Path, **changes: str) -> str:
    waiver = {"rule": "dccp", "reason": "a test", "expires": "2999-12-31", **changes}
    path = folder / "waivers.yml"
    path.write_text(json.dumps([waiver]))
    return str(path)


def claimed_broken(played: Played) -> list[str]:
    found = re.search(r"claims to have mended: ([^\n]*?)\. Does another", " ".join(played.text.split()))
    return found[1].split(", ") if found else []


def test_another_tool_finds_what_the_role_claims(play: Player, host: Host) -> None:
    before = role(play, host, "verify")
    assert before.failed == {"machine": 1}
    assert {"net.ipv4.conf.all.send_redirects", "dccp"} <= set(claimed_broken(before)), before.text

    assert role(play, host, check=True).changed["machine"] > 0
    assert host.read(NETWORK) == ""

    applied = role(play, host)
    assert applied.failed == {"machine": 0}, applied.text
    assert "# 3.3.2" in host.read(NETWORK)
    assert role(play, host).changed == {"machine": 0}

    verified = role(play, host, "verify")
    assert verified.failed == {"machine": 0}, verified.text
    host.run("sysctl", "-w", "net.ipv4.conf.all.send_redirects=1")
    assert claimed_broken(role(play, host, "verify")) == ["net.ipv4.conf.all.send_redirects"]


def test_a_waived_rule_is_not_claimed(play: Player, host: Host, tmp_path: Path) -> None:
    assert role(play, host, compliance_waivers=waive(tmp_path)).failed == {"machine": 0}
    assert "install sctp" in host.read("/etc/modprobe.d/constellation.conf")
    assert "dccp" not in host.read("/etc/modprobe.d/constellation.conf")


def test_a_run_that_fails_leaves_files_as_they_were(play: Player, host: Host) -> None:
    host.run("sh", "-c", "echo 'Nonsense yes' >> /etc/ssh/sshd_config")
    mode = host.run("stat", "-c", "%a", "/etc/crontab").stdout
    played = role(play, host)
    assert played.failed == {"machine": 1}
    assert "Nonsense" in played.text
    assert host.read(SSH) == host.read(NETWORK) == ""
    assert host.run("stat", "-c", "%a", "/etc/crontab").stdout == mode


def test_an_auditor_that_is_not_there_is_an_error(play: Player, host: Host) -> None:
    played = role(play, host, "verify", compliance_auditor="/nowhere/lynis")
    assert played.failed == {"machine": 1}
    assert "/nowhere/lynis" in played.text
